"""The other scripts: help, wrong usage, and what scripts/lib.sh promises."""
import os
import pathlib
import subprocess

import pytest

from lib import PROJECT, script, wait_until

BASH_SCRIPTS = ["bench", "chaos", "demo", "format", "fuzz", "kafka", "model", "mutate", "package", "test"]
SCRIPTS = BASH_SCRIPTS + ["check-floors", "create-topics"]


def run(*command, **options):
    return subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, check=False, **options)


def with_lib(body, **options):
    """Runs shell text as a script that has sourced lib.sh."""
    return run("bash", "-c", f'. "{PROJECT}/scripts/lib.sh"\n{body}', **options)


@pytest.mark.parametrize("name", SCRIPTS)
def test_help(name):
    done = run(script(name), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"scripts/{name}" in done.stdout and "Exit: 0" in done.stdout


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name != "check-floors"])
def test_wrong_usage(name):
    done = run(script(name), "--no-such-option")
    assert (done.returncode, done.stdout) == (2, "") and f"scripts/{name}" in done.stderr


def test_scripts_can_be_run_and_lib_cannot():
    names = {path.name for path in (PROJECT / "scripts").iterdir() if path.is_file()}
    assert names >= set(SCRIPTS) | {"lib.sh"}
    for name in names:
        assert os.access(script(name), os.X_OK) == (name != "lib.sh"), name
    for name in BASH_SCRIPTS:
        assert run("bash", "-n", script(name)).returncode == 0


def test_nothing_is_installed_when_nothing_is_missing():
    done = with_lib('apt_get() { echo called; }; need_packages "a test" bash coreutils && echo fine')
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


def test_what_is_missing_is_installed_and_named():
    done = with_lib('LOGS=$(mktemp -d); defer rm -rf "$LOGS"; root() { echo "$*" >>"$LOGS/said"; }\n'
                    'need_packages "a test" bash no-such-package; cat "$LOGS/said"')
    assert done.stderr.startswith("Installing for a test (only what is missing): no-such-package\n")
    update, size, install = done.stdout.splitlines()
    assert all(line.startswith("env DEBIAN_FRONTEND=noninteractive ") for line in (update, size, install))
    assert update.endswith(" update -q") and "--assume-no" in size
    assert install.endswith(" install -y -q --no-install-recommends no-such-package")


def test_a_failing_command_shows_the_end_of_its_log(tmp_path):
    done = with_lib(f'LOGS="{tmp_path}"; logged x bash -c "seq 100; exit 7" || echo "code $?"')
    assert done.stdout == "code 7\n"
    lines = done.stderr.splitlines()
    assert lines[:40] == [str(n) for n in range(61, 101)] and "failed (7)" in lines[40] and len(lines) == 41


def test_what_was_started_is_stopped(tmp_path):
    """Last in, first out; words stay whole; also when the script is ended by a signal."""
    body = 'sleep 60 & pid=$!\ndefer stop_pid $pid\ndefer touch "$1/a b"\ndefer ls "$1"\necho $pid\n'
    done = run("bash", "-c", f'. "{PROJECT}/scripts/lib.sh"\n{body}exit 5', "x", tmp_path)
    pid = int(done.stdout.split()[0])
    assert done.returncode == 5 and (tmp_path / "a b").exists() and "a b" not in done.stdout
    assert not pathlib.Path(f"/proc/{pid}").exists()
    with subprocess.Popen(["bash", "-c", f'. "{PROJECT}/scripts/lib.sh"\n{body}while :; do sleep 0.1; done', "x",
                           str(tmp_path)], stdout=subprocess.PIPE, text=True) as running:
        pid = int(running.stdout.readline())
        running.terminate()
        assert running.wait(20) == 143
    wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), 10, "the sleeper to be gone")


def test_stop_pid_kills_who_does_not_listen():
    done = with_lib("bash -c 'trap \"\" TERM; while :; do sleep 0.1; done' & pid=$!\nsleep 0.2; stop_pid $pid 1\n"
                    "kill -0 $pid 2>/dev/null || echo gone")
    assert done.stdout == "gone\n"


def test_free_ports_are_different_and_stay_out_of_the_kernels_range():
    ports = [int(line) for line in with_lib("free_ports 50").stdout.split()]
    assert len(set(ports)) == 50 and all(15000 <= port < 32000 for port in ports)


@pytest.mark.parametrize("status, code", [("200 OK", 0), ("503 Service Unavailable", 1)])
def test_answers_200(status, code):
    server = subprocess.Popen(
        ["/usr/bin/python3", "-c", "import socket\ns = socket.create_server(('127.0.0.1', 0))\n"
         f"print(s.getsockname()[1], flush=True)\nc = s.accept()[0]\nc.recv(999)\nc.sendall(b'HTTP/1.1 {status}\\r\\n\\r\\n')"],
        stdout=subprocess.PIPE, text=True)
    with server:
        port = server.stdout.readline().strip()
        assert with_lib(f"answers_200 {port} /readyz").returncode == code
    assert with_lib(f"answers_200 {port} /readyz").returncode == 1


def started_by(pid):
    """The processes below `pid`: pid -> command line"""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
            words = (path / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it has just ended
            continue
        if parent == pid and words[0]:
            found[int(path.name)] = b" ".join(words).decode()
    return found


@pytest.mark.long  # builds the release
@pytest.mark.limit(300)
@pytest.mark.parametrize("who, code", [("demo", 143), ("worker", 1)])
def test_demo_ends_while_handoffs_are_under_way(who, code):
    """By a signal to the script alone, and when its worker dies; either way at once, and nothing is left running."""
    with subprocess.Popen([script("demo"), "--count", "20000"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as demo:
        while "Submitting" not in (line := demo.stdout.readline()):
            assert line, "it ended early"
        wait_until(lambda: any("handoffctl submit" in words for words in started_by(demo.pid).values()), 20, "the submit")
        children = started_by(demo.pid)
        if who == "demo":
            demo.terminate()
        else:
            os.kill(next(pid for pid, words in children.items() if "release/handoffd " in words), 9)
        said = demo.stdout.read()
        assert demo.wait(40) == code
    assert who == "demo" or said.endswith("scripts/demo: the worker ended\n")
    assert not [pid for pid in children if pathlib.Path(f"/proc/{pid}").exists()]
