"""Programs under test: started on the loopback, their output kept, never left behind."""
import ctypes
import os
import pathlib
import random
import resource
import signal
import socket
import subprocess
import time

PROJECT = pathlib.Path(__file__).resolve().parents[3]
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def binary(name):
    """The program to test: from $HANDOFF_BUILD, relative to the project (default build/dev)."""
    path = PROJECT / os.environ.get("HANDOFF_BUILD", "build/dev") / name
    assert path.is_file(), f"{path} is not there: build it first (scripts/test does)"
    return str(path)


def script(name):
    return str(PROJECT / "scripts" / name)


def wait_until(condition, timeout=30, what="the condition"):
    """Returns the first true value of condition(); fails, saying what was waited for, when the time is over."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {timeout} s in vain for {what}"
        time.sleep(0.02)


def free_port():
    """A port nobody listens on, below those that the kernel gives to outgoing connections: it stays free."""
    for _ in range(1000):
        port = random.randrange(15000, 32000)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port on the loopback")


def die_with_parent():
    """In the child: the kernel kills it when the test run ends, however that ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """One running program. Its stdout and stderr go to files of `folder`, so that it never waits for a reader; `stderr`,
    a descriptor, takes the latter's place. `most_files`: how many descriptors it may have (RLIMIT_NOFILE)."""

    running = []  # of the current test, for its failure report and its clean-up

    def __init__(self, name, command, folder, env=None, stderr=None, most_files=None):
        self.name = name
        self.command = [str(word) for word in command]
        count = sum(1 for _ in pathlib.Path(folder).glob(f"{name}*.err"))
        stem = pathlib.Path(folder) / (f"{name}-{count + 1}" if count else name)
        self.stdout_path = stem.with_suffix(".out")
        self.stderr_path = stem.with_suffix(".err")
        with open(self.stdout_path, "wb") as out, open(self.stderr_path, "wb") as err:
            def in_child():
                die_with_parent()
                if most_files:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
            self.popen = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=err if stderr is None else stderr,
                                          env={**os.environ, **(env or {})}, preexec_fn=in_child)
        self.pid = self.popen.pid
        Process.running.append(self)

    @property
    def exit_code(self):
        """None while it runs."""
        return self.popen.poll()

    def stdout(self):
        return self.stdout_path.read_text(errors="replace")

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, timeout=30):
        """Its exit code; fails when it does not end in time."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {timeout} s") from None

    def stop(self, timeout=30):
        """SIGTERM, and its exit code."""
        if self.exit_code is None:
            self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self):
        """SIGKILL: as a crash would end it."""
        if self.exit_code is None:
            self.signal(signal.SIGKILL)
            self.popen.wait()

    def check_alive(self):
        assert self.exit_code is None, f"{self.name} ended with {self.exit_code}:\n{tail(self.stderr())}"

    def cpu_seconds(self):
        """User and system time so far, of all its threads, to the nanosecond: clock_getcpuclockid(3)."""
        return time.clock_gettime(~self.pid << 3 | 2)

    def open_files(self):
        """How many descriptors it has."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def limit_files(self, most):
        """From now on: what it has stays open."""
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (most, resource.prlimit(self.pid, resource.RLIMIT_NOFILE)[1]))

    def memory_mb(self):
        """What it occupies of the machine's memory."""
        return int(pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    @classmethod
    def end_all(cls):
        """Kills whatever a test has left running; a stopped (SIGSTOP) program too."""
        while cls.running:
            cls.running.pop().kill()


def tail(text, lines=40):
    return "\n".join(text.splitlines()[-lines:])
