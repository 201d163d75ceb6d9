"""Fixtures of the end-to-end and command line tests.

    def test_something(broker, topics, worker):         # runs on the sandbox and on Apache Kafka
        w = worker(retry={"base_delay_ms": 100})        # configured, started, ready; ended after the test
        produce(broker.bootstrap, topics.requests, [{"key": b"s1", "value": request("s1")}])
        outcome, = read_all(broker.bootstrap, topics.outcomes, 1)

$HANDOFF_BUILD          where the programs are (default build/dev)
$HANDOFF_KAFKA          bootstrap servers of a running Apache Kafka, instead of one that the run starts for itself
$HANDOFF_REQUIRE_KAFKA  1: an Apache Kafka that cannot be had is a failure, not a reason to skip
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "e2e"))
# pylint: disable=wrong-import-position
from lib import Kafka, Process, Sandbox, Topics, Worker, create_topics, script  # noqa: E402
from lib.process import tail  # noqa: E402

LIMIT_SECONDS = 120
CANNOT_BE_HAD = 3  # exit code of scripts/kafka


@pytest.fixture
def folder():
    """A short-lived folder for configurations and logs."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="handoff-test-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(autouse=True)
def end_processes():
    yield
    Process.end_all()


# --- brokers and the simulator ----------------------------------------------------------------------------------------

def start_kafka(directory, brokers=1, settings=(), secured=(), version=None):
    """Starts scripts/kafka in `directory` and returns its bootstrap servers (with `secured`, its options of that kind, all
    that it says, as a dict); skips or fails where it cannot be had."""
    command = [script("kafka"), "start", "--brokers", str(brokers), "--dir", str(directory), "--owner", str(os.getpid())]
    command += map(str, secured)
    for setting in settings:
        command += ["--set", setting]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900, check=False,
                          env={**os.environ, **({"HANDOFF_KAFKA_VERSION": version} if version else {})})
    if done.returncode == CANNOT_BE_HAD and os.environ.get("HANDOFF_REQUIRE_KAFKA") != "1":
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, f"scripts/kafka start exited with {done.returncode}:\n{done.stderr}"
    said = dict(line.split("=", 1) for line in done.stdout.splitlines())
    return said if secured else said["bootstrap.servers"]


def stop_kafka(directory):
    subprocess.run([script("kafka"), "stop", "--dir", str(directory)], capture_output=True, timeout=60, check=True)


@pytest.fixture(scope="session")
def apache():
    """One Apache Kafka for the whole run."""
    if os.environ.get("HANDOFF_KAFKA"):
        yield Kafka(os.environ["HANDOFF_KAFKA"], "apache")
        return
    parent = pathlib.Path(tempfile.mkdtemp(prefix="handoff-kafka-"))
    left = signal.alarm(0)  # fetching the jars is not the first test's time
    try:
        kafka = Kafka(start_kafka(parent / "kafka"), "apache")
        signal.alarm(left)
        yield kafka
    finally:
        stop_kafka(parent / "kafka")
        shutil.rmtree(parent, ignore_errors=True)


def sandbox_options(request):
    """(script, partitions) of the marker"""
    marker = request.node.get_closest_marker("sandbox")
    options = marker.kwargs if marker else {}
    return options.get("script"), options.get("partitions", Topics.partitions)


@pytest.fixture
def simulator(request, folder):
    """The Cognigy simulator alone (marker `sandbox`: its script)."""
    return Sandbox(folder, broker=False, name="simulator", script=sandbox_options(request)[0])


@pytest.fixture
def sandbox(request, folder):
    """Broker in memory and simulator, for this test alone (marker `sandbox`: script, partitions)."""
    lines, partitions = sandbox_options(request)
    return Sandbox(folder, script=lines, partitions=partitions)


@pytest.fixture(params=["sandbox", "apache"])
def broker(request):
    """A broker of either kind; `broker.simulator` is the Cognigy simulator that belongs to it."""
    if request.param == "sandbox":
        started = request.getfixturevalue("sandbox")
        kafka = Kafka(started.bootstrap, "sandbox")
        kafka.simulator = started
    else:
        kafka = Kafka(request.getfixturevalue("apache").bootstrap, "apache")
        kafka.simulator = request.getfixturevalue("simulator")
    return kafka


@pytest.fixture
def topics(request, broker):
    """The four topics of this test: its own on Apache Kafka, the fixed ones of the sandbox."""
    partitions = sandbox_options(request)[1]
    if broker.kind == "sandbox":
        return Topics(partitions=partitions)
    names = Topics.unique(partitions)
    create_topics(broker.bootstrap, {name: names.partitions for name in names.all()})
    return names


@pytest.fixture
def worker(folder, broker, topics):
    """Starts workers of one pool: worker(ready=True, name=..., env=..., SECTION={KEY: VALUE})."""
    count = 0

    def start(ready=True, name=None, **changes):
        nonlocal count
        count += 1
        started = Worker(folder, broker, topics, broker.simulator, name or f"handoffd-{count}", **changes)
        return started.wait_ready() if ready else started
    return start


# --- bounded in time, and telling when they fail ------------------------------------------------------------------------

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """No test hangs: it fails where it stands when its time is over."""
    marker = item.get_closest_marker("limit")
    seconds = marker.args[0] if marker else LIMIT_SECONDS

    def on_alarm(*_):
        raise TimeoutError(f"the test took longer than {seconds} s")
    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the ends of what its programs said."""
    report = (yield).get_result()
    if report.failed and report.when in ("setup", "call"):
        for process in Process.running:
            code = process.exit_code
            title = f"{process.name} ({'running' if code is None else f'exit code {code}'}, pid {process.pid})"
            report.sections.append((title, tail(process.stderr()) or "(said nothing)"))


def pytest_terminal_summary(terminalreporter):
    """Each test that was skipped, by its name and with the reason."""
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.write_line(f"skipped: {report.nodeid}: {reason.removeprefix('Skipped: ')}")
