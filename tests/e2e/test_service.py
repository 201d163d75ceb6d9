"""handoffd under a service manager: what it is told, and that a loop that stands still is noticed."""
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

from lib import PROJECT, Kafka, Sandbox, Topics, Worker, binary, keyed, produce, wait_until
from lib.process import Process

UNIT = PROJECT / "config" / "systemd" / "handoffd.service"


class Manager:
    """systemd's end of sd_notify, in the abstract namespace."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = f"handoffd-test-{os.getpid()}-{id(self)}"
        self.socket.bind(f"\0{name}")
        self.socket.setblocking(False)
        self.environment = {"NOTIFY_SOCKET": f"@{name}"}
        self.heard = []

    def listen(self):
        """Everything heard so far."""
        while True:
            try:
                self.heard += self.socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return self.heard

    def count(self, message):
        return self.listen().count(message)


def test_life_of_a_service(folder, sandbox):
    manager = Manager()
    w = Worker(folder, Kafka(sandbox.bootstrap, "sandbox"), Topics(), sandbox,
               env={**manager.environment, "WATCHDOG_USEC": "1500000"})
    wait_until(lambda: manager.count("READY=1") == 1, 20, "READY=1")
    assert any(line.startswith("STATUS=Not ready: ") for line in manager.listen()), "the group is not joined yet"
    w.wait_ready()
    wait_until(lambda: manager.count("STATUS=Ready, 8 partitions") == 1, 20, "its line")
    before = manager.count("WATCHDOG=1")
    wait_until(lambda: manager.count("WATCHDOG=1") >= before + 3, 20, "signs of life")

    w.signal(signal.SIGSTOP)
    state = PROJECT.joinpath(f"/proc/{w.pid}/stat")
    wait_until(lambda: state.read_text().rsplit(")", 1)[1].split()[0] == "T", 10, "it to stand still")
    frozen = manager.count("WATCHDOG=1")
    with pytest.raises(AssertionError, match="in vain"):
        wait_until(lambda: manager.count("WATCHDOG=1") > frozen, 2, "a sign of life from a process that stands still")
    w.signal(signal.SIGCONT)
    wait_until(lambda: manager.count("WATCHDOG=1") > frozen, 20, "it to be alive again")

    w.stop_clean()
    assert manager.count("STOPPING=1") == 1 and manager.count("READY=1") == 1


def test_ready_although_no_broker_answers(folder):
    """A machine's start does not wait for Kafka; the line for people says what is missing."""
    manager = Manager()
    simulator = Sandbox(folder, broker=False, name="simulator")
    Worker(folder, Kafka("127.0.0.1:1", "apache"), Topics(), simulator, env=manager.environment)
    wait_until(lambda: manager.count("READY=1") == 1, 20, "READY=1")
    wait_until(lambda: manager.count("STATUS=Not ready: no Kafka broker answers") == 1, 30, "the reason")
    assert manager.count("WATCHDOG=1") == 0, "nobody asked for it"


def test_unit_is_a_full_sandbox():
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", UNIT],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr
    exposure = float(re.search(r"Overall exposure level for handoffd.service: (\d+\.\d+)", done.stdout)[1])
    assert exposure <= 2.0


def test_unit_has_no_unknown_setting():
    """systemd itself reads it; what is missing on this machine (the program, the manual) is no fault of the unit."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", UNIT], capture_output=True, text=True, timeout=60,
                          check=False)
    assert [line for line in done.stderr.splitlines() if "is not executable" not in line] == []


def test_unit_gives_the_calls_their_time():
    text = UNIT.read_text()
    drain = int(re.search(r"drain_ms = (\d+)", (PROJECT / "config/handoffd.conf").read_text())[1]) / 1000
    assert int(re.search(r"TimeoutStopSec=(\d+)s", text)[1]) >= 2 * drain
    assert "Type=notify" in text and "RestartPreventExitStatus=2" in text and "LoadCredential=cognigy:" in text


def members(name):
    """The system calls of one of systemd's sets, the sets inside of it included."""
    found = set()
    lines = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, timeout=20,
                           check=True).stdout.splitlines()[1:]
    for line in map(str.strip, lines):
        if line.startswith("@"):
            found |= members(line)
        elif line and not line.startswith("#"):
            found.add(line)
    return found


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("strace") or not shutil.which("systemd-analyze"),
                    reason="strace or systemd-analyze is not installed")
def test_unit_allows_every_system_call(folder, sandbox):
    """Traced through a whole life: start, fifty handoffs, stop."""
    first = Worker(folder, Kafka(sandbox.bootstrap, "sandbox"), Topics(), sandbox)
    first.kill()
    trace = folder / "trace"
    traced = Process("strace", ["strace", "-f", "-qq", "-o", trace, binary("handoffd"), "-c", first.config_path], folder)
    wait_until(lambda: first.get("/readyz")[0] == 200, 60, "it to be ready")
    produce(sandbox.bootstrap, "handoff.requests", [keyed(n) for n in range(50)])
    wait_until(lambda: first.metric("handoffd_outcomes_total") == 50, 60, "outcomes")
    child = int(PROJECT.joinpath(f"/proc/{traced.pid}/task/{traced.pid}/children").read_text().split()[0])
    os.kill(child, signal.SIGTERM)
    assert traced.wait(60) == 0
    used = set(re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)[( ]", trace.read_text(errors="replace"), re.M)) - {"resumed"}
    assert {"socket", "epoll_wait"} <= used
    kept = re.findall(r"^SystemCallFilter=(@\S+)", UNIT.read_text(), re.M)
    dropped = re.search(r"^SystemCallFilter=~(.*)", UNIT.read_text(), re.M)[1].split()
    allowed = set().union(members("@default"), *map(members, kept)).difference(*map(members, dropped))
    assert used - allowed == set()
