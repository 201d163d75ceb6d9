"""handoff-sandbox as a program: its options, its processes, its broker. The simulator is test_simulator.py's."""
import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest

from lib import PROJECT, Sandbox, binary, end_offsets, produce, read_all, wait_until

TOPICS = {"handoff.requests": 12, "handoff.retry": 12, "handoff.outcomes": 4, "handoff.dlq": 4}


def run(*arguments):
    return subprocess.run([binary("handoff-sandbox"), *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=30, check=False)


def children(process):
    """pid -> start time, which tells a process from a later one with the same pid."""
    found = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return {int(pid): start_time(int(pid)) for pid in found}


def start_time(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return None


def gone(pids):
    return all(start_time(pid) != start for pid, start in pids.items())


# --- options ------------------------------------------------------------------------------------------------------------

def test_help_and_version():
    done = run("--help")
    assert done.returncode == 0 and done.stderr == ""
    assert all(option in done.stdout for option in ("--http-port", "--partitions", "--script", "--no-broker"))
    done = run("--version")
    assert done.returncode == 0 and re.fullmatch(r"handoff-sandbox \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("arguments, sentence", [
    (["--http-port", "x"], '--http-port takes a whole number from 0 on, not "x"; see handoff-sandbox --help'),
    (["--http-port", "65536"], "--http-port takes at most 65535, not 65536"),
    (["--partitions", "0"], "--partitions takes a whole number from 1 on"),
    (["--partitions"], "--partitions needs a value, N"),
    (["--no-such-option"], "there is no option --no-such-option"),
    (["-z"], "there is no option -z"),
    (["word"], 'takes no "word"'),
    (["--script", "/no/such/file"], "cannot read /no/such/file: No such file"),
])
def test_wrong_usage_is_told_in_one_sentence(arguments, sentence):
    done = run(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("handoff-sandbox: ") and done.stderr.count("\n") == 1
    assert sentence in done.stderr


def test_wrong_script_names_file_and_line(folder):
    path = folder / "wrong.script"
    path.write_text("# fine\nlatency 20ms\nlatency soon\n")
    done = run("--script", str(path))
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == f'handoff-sandbox: {path}:3: "latency" wants a duration (20ms, 1s)\n'


def test_busy_port_is_told_in_one_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("--http-port", str(port))
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == ("handoff-sandbox: the simulator cannot listen on "
                           f"127.0.0.1:{port}: Address already in use\n")


# --- processes ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_cleanly(sandbox, number):
    pids = children(sandbox)
    assert len(pids) == 2
    sandbox.signal(number)
    assert sandbox.wait(10) == 0
    assert sandbox.stderr() == "" and gone(pids)
    assert sandbox.stdout() == f"bootstrap.servers={sandbox.bootstrap}\nbase_url={sandbox.base_url}\n"


def test_fixed_port(folder):
    first = Sandbox(folder, broker=False)
    port = first.base_url.split(":")[2].split("/")[0]
    assert first.stop() == 0
    second = Sandbox(folder, broker=False, arguments=["--http-port", port])
    assert second.base_url == first.base_url == f"http://127.0.0.1:{port}/api/v1"
    assert second.stdout() == f"base_url={second.base_url}\n"


@pytest.mark.parametrize("victim", [0, 1])
def test_a_child_that_dies_ends_it(sandbox, victim):
    pids = children(sandbox)
    os.kill(sorted(pids)[victim], signal.SIGKILL)
    assert sandbox.wait(10) == 1
    name = ["broker", "simulator"][victim]
    assert sandbox.stderr() == f"handoff-sandbox: the {name} died of signal 9 (Killed)\n"
    assert gone(pids)


def test_children_die_with_their_parent(sandbox):
    pids = children(sandbox)
    sandbox.kill()
    wait_until(lambda: gone(pids), 10, "the children to end")


# --- the broker ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, topics", [
    ([], TOPICS),
    (["--partitions", "3"], {**TOPICS, "handoff.requests": 3, "handoff.retry": 3}),
])
def test_topics_are_there(folder, arguments, topics):
    bootstrap = Sandbox(folder, arguments=arguments).bootstrap
    assert {name: len(end_offsets(bootstrap, name)) for name in topics} == topics


def test_records_come_back_as_written(sandbox):
    records = [{"key": b"k%d" % n, "value": os.urandom(500), "headers": {"n": str(n)}} for n in range(500)]
    places = produce(sandbox.bootstrap, "handoff.requests", records)
    found = {(r.partition, r.offset): r for r in read_all(sandbox.bootstrap, "handoff.requests", len(records))}
    for record, place in zip(records, places):
        back = found[place]
        assert (back.key, back.value) == (record["key"], record["value"])
        assert back.header("n") == record["headers"]["n"]


# --- the man page -------------------------------------------------------------------------------------------------------

PAGE = PROJECT / "src/sandbox/handoff-sandbox.1"


def test_examples_of_the_man_page_are_right(folder):
    blocks = re.findall(r"^\.Bd .*?\n(.*?)^\.Ed", PAGE.read_text().split(".Sh EXAMPLES")[1], re.S | re.M)
    assert len(blocks) == 2
    for block in blocks:
        assert Sandbox(folder, broker=False, script=block).stop() == 0


def test_man_page_describes_every_line_and_option():
    text = PAGE.read_text()
    code = (PROJECT / "src/sandbox/script.c").read_text()
    for name in re.findall(r'\{ "(\w+)", do_', code):
        assert re.search(rf"^\.It Ic {name}\b", text, re.M), name
    for option in re.findall(r"^  (--[a-z-]+)", run("--help").stdout, re.M):
        assert f"Fl -{option[2:]}" in text, option


def test_man_page_is_clean():
    try:
        done = subprocess.run(["groff", "-mdoc", "-ww", "-Tutf8", str(PAGE)], capture_output=True, text=True, timeout=30,
                              check=True)
    except FileNotFoundError:
        pytest.skip("groff is not installed")
    assert done.stderr == ""
