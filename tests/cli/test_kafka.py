"""scripts/kafka and scripts/create-topics: brokers that start, answer, die, come back and leave nothing behind."""
import os
import pathlib
import signal
import subprocess

import pytest

from lib import PROJECT, create_topics, end_offsets, kcat, produce, read_all, script, wait_until
from conftest import start_kafka, stop_kafka


def run(*command, env=None):
    return subprocess.run([script(command[0]), *map(str, command[1:])], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=300, check=False, env={**os.environ, **(env or {})})


def test_what_is_written_is_read(apache):
    create_topics(apache.bootstrap, {"cli.echo": 3})
    records = [{"key": b"k%d" % n, "value": b"v%d" % n, "headers": [("n", b"%d" % n)]} for n in range(100)]
    places = produce(apache.bootstrap, "cli.echo", records)
    assert len(set(places)) == 100
    found = {(r.partition, r.offset): (r.key, r.value, r.header("n")) for r in read_all(apache.bootstrap, "cli.echo", 100)}
    assert found == {place: (b"k%d" % n, b"v%d" % n, str(n)) for n, place in enumerate(places)}
    assert sum(end_offsets(apache.bootstrap, "cli.echo").values()) == 100
    assert len(kcat(apache.bootstrap, "-C", "-e", "-t", "cli.echo", "-f", "%k=%s\n").splitlines()) == 100


def test_topics_are_not_made_by_asking(apache):
    kcat(apache.bootstrap, "-L", "-t", "cli.typo")
    assert b"cli.typo" not in kcat(apache.bootstrap, "-L")


def test_fetching_the_jars_is_ended_by_ctrl_c(tmp_path):
    """As a terminal does it: SIGINT to the foreground group, which Maven must be part of."""
    maven = tmp_path / "mvn"
    maven.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid.part && mv {tmp_path}/pid.part {tmp_path}/pid\nexec sleep 60\n")
    maven.chmod(0o755)
    with subprocess.Popen([script("kafka"), "prepare"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          start_new_session=True, text=True,
                          env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HANDOFF_CACHE": str(tmp_path)}) \
            as running:
        wait_until((tmp_path / "pid").exists, 20, "Maven to be called")
        os.killpg(running.pid, signal.SIGINT)
        running.communicate(timeout=10)
        assert running.returncode == 130
    assert not pathlib.Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_fetching_the_jars_is_ended_by_an_exit_code(tmp_path):
    """As Java tells of a Ctrl-C: no other way of having the jars is looked for, and none is said to be missing."""
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\nexit 130\n")
    maven.chmod(0o755)
    done = subprocess.run([script("kafka"), "prepare"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
                          env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HANDOFF_CACHE": str(tmp_path)},
                          check=False)
    assert done.returncode == 130 and "cannot be had" not in done.stderr


def test_create_topics(apache):
    first = run("create-topics", apache.bootstrap, "--prefix", "cli.made", "--partitions", 5)
    assert (first.returncode, first.stdout.splitlines()) == \
        (0, [f"created cli.made.{kind}" for kind in ("requests", "retry", "outcomes", "dlq")])
    again = run("create-topics", apache.bootstrap, "--prefix", "cli.made", "--partitions", 5)
    assert again.returncode == 0 and again.stdout.count("exists") == 4
    other = run("create-topics", apache.bootstrap, "--prefix", "cli.made", "--partitions", 6)
    assert other.returncode == 1
    assert other.stderr.splitlines()[0] == \
        "scripts/create-topics: cli.made.requests exists with 5 partitions, not 6"


def test_topics_that_would_lose_records_are_named(apache):
    create_topics(apache.bootstrap, {"cli.short.requests": 2, "cli.short.dlq": 2}, **{"retention.ms": "3600000"})
    create_topics(apache.bootstrap, {"cli.short.retry": 2}, **{"cleanup.policy": "compact"})
    create_topics(apache.bootstrap, {"cli.short.outcomes": 2}, **{"retention.ms": "-1"})
    asked = "create-topics", apache.bootstrap, "--prefix", "cli.short", "--partitions", 2
    done = run(*asked, "--max-age-ms", 2000000)
    assert (done.returncode, done.stderr.splitlines()) == (1, [
        "scripts/create-topics: cli.short.requests has retention.ms 3600000: at least 4000000 are needed, twice "
        "--max-age-ms",
        "scripts/create-topics: cli.short.retry has cleanup.policy compact: records would be removed unread"])
    assert done.stdout.splitlines() == ["exists  cli.short.outcomes", "exists  cli.short.dlq"]
    assert "cli.short.requests" not in run(*asked).stderr, "by default it is long enough"


def pids(directory):
    return [int(path.read_text()) for path in pathlib.Path(directory).glob("broker-*/pid")]


def lives(pid):
    """Whether it runs; a zombie does not. The command line would not do: it is empty for an instant inside every exec."""
    try:
        status = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


@pytest.mark.limit(300)
def test_a_broker_dies_and_comes_back(apache, tmp_path):
    """Three brokers beside the run's own one, in a folder with a space; data survives a broker's death."""
    directory = tmp_path / "three brokers"
    bootstrap = start_kafka(directory, 3, ["log.retention.ms=86400001"])
    try:
        assert bootstrap.count(",") == 2 and not set(bootstrap.split(",")) & set(apache.bootstrap.split(","))
        assert "log.retention.ms=86400001" in (directory / "broker-3" / "broker.properties").read_text()
        create_topics(bootstrap, {"three": 1})
        produce(bootstrap, "three", [{"value": b"before"}])
        assert run("kafka", "kill", 2, "--dir", directory).returncode == 0
        status = run("kafka", "status", "--dir", directory)
        assert status.returncode == 1 and [line.split()[3] for line in status.stdout.splitlines()[:3]] == \
            ["running", "stopped", "running"]
        produce(bootstrap, "three", [{"value": b"while"}])
        assert run("kafka", "restart", 2, "--dir", directory).returncode == 0
        assert run("kafka", "status", "--dir", directory).returncode == 0
        assert [r.value for r in read_all(bootstrap, "three", 2)] == [b"before", b"while"]
    finally:
        stop_kafka(directory)
    assert not directory.exists()


def test_it_ends_with_its_owner(tmp_path, apache):
    directory = tmp_path / "kafka"
    with subprocess.Popen(["sleep", "60"]) as owner:
        done = run("kafka", "start", "--dir", directory, "--owner", owner.pid)
        brokers = pids(directory)
        second = run("kafka", "start", "--dir", directory)
        assert lives(brokers[0])
        owner.send_signal(signal.SIGKILL)
    assert done.returncode == 0 and len(brokers) == 1
    assert second.returncode == 1 and "were started in" in second.stderr
    wait_until(lambda: not directory.exists(), 30, "the brokers' folder to vanish")
    assert not lives(brokers[0])


def test_stopping_ends_the_watcher_too(tmp_path, apache):
    directory = tmp_path / "kafka"
    start_kafka(directory)
    watcher = int((directory / "watcher").read_text())
    assert lives(watcher)
    stop_kafka(directory)
    assert not lives(watcher) and not directory.exists()


def test_a_folder_of_somebody_keeps_what_is_in_it(tmp_path, apache):
    (tmp_path / "mine").write_text("kept")
    start_kafka(tmp_path)
    stop_kafka(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_without_jars_it_says_so(tmp_path):
    """A Maven that gets nothing: one sentence, exit code 3, nothing half-fetched that a later start would trust."""
    maven = tmp_path / "bin" / "mvn"
    maven.parent.mkdir()
    maven.write_text("#!/bin/sh\necho 'Could not resolve artifact'\nexit 1\n")
    maven.chmod(0o755)
    env = {"PATH": f"{maven.parent}:{os.environ['PATH']}", "HANDOFF_CACHE": str(tmp_path / "cache")}
    done = run("kafka", "start", "--dir", tmp_path / "kafka", env=env)
    assert done.returncode == 3 and done.stdout == ""
    assert done.stderr.splitlines()[-1].endswith("cannot be had here: Maven did not get them")
    assert not list((tmp_path / "cache").glob("kafka-*/libs")) and not (tmp_path / "kafka").exists()


@pytest.mark.parametrize("arguments, sentence", [
    (["start", "--tls", "/nowhere"], "--tls: '/nowhere' cannot be read"),
    ([], "say start, stop, status, kill, restart or prepare"),
    (["start", "--brokers", "2"], "--brokers must be 1 or 3, not '2'"),
    (["start", "--set", "no equals sign"], "--set takes KEY=VALUE, not 'no equals sign'"),
    (["start", "--dir"], "--dir needs a value"),
    (["kill"], "kill which broker?"),
    (["begin"], "say start"),
    (["start", "now"], "what is 'now'?"),
])
def test_wrong_usage(arguments, sentence):
    done = run("kafka", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("scripts/kafka: ") and sentence in done.stderr and done.stderr.count("\n") == 1


def test_nothing_runs(tmp_path):
    stopped = run("kafka", "stop", "--dir", tmp_path / "none")
    assert stopped.returncode == 0
    for verb in (["status"], ["kill", "1"], ["restart", "1"]):
        done = run("kafka", *verb, "--dir", tmp_path / "none")
        assert done.returncode == 1 and "no brokers in" in done.stderr


def test_pom_pins_versions():
    pom = (PROJECT / "config" / "kafka" / "pom.xml").read_text()
    assert pom.count("<version>") == 4 and "SNAPSHOT" not in pom and "LATEST" not in pom
