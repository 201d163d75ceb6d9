"""Descriptors, disks and readers that run out: one clear sentence, or it goes on; never a lost handoff."""
import collections
import os

import pytest

from lib import Kafka, Topics, Worker, produce, read_all, request, wait_until

COUNT = 60


@pytest.fixture
def start(folder, sandbox):
    """Starts workers on the sandbox: start(name=..., stderr=..., most_files=..., SECTION={KEY: VALUE})."""
    kafka = Kafka(sandbox.bootstrap, "sandbox")
    return lambda **changes: Worker(folder, kafka, Topics(), sandbox, **changes)


def request_all(sandbox):
    produce(sandbox.bootstrap, Topics().requests, [{"key": b"s%d" % n, "value": request(f"s{n}", handoffId=f"h{n}")} for n in range(COUNT)])


def outcomes(sandbox):
    return collections.Counter(o.json()["handoffId"]
                               for o in read_all(sandbox.bootstrap, Topics().outcomes, COUNT, timeout=90))


def test_too_few_descriptors_from_the_start(start, sandbox):
    """It says what it lacks, and ends with 1 or goes on trying; what it could not do, the next one does."""
    request_all(sandbox)
    for most in (4, 6, 8, 12, 16, 24):
        worker = start(name=f"with-{most}", most_files=most)
        wait_until(lambda worker=worker: worker.exit_code is not None or "open files" in worker.stderr(), 30,
                   f"a word of a worker with {most} descriptors")
        if worker.exit_code is not None:
            (sentence,) = worker.stderr().splitlines()
            assert worker.exit_code == 1 and ("descriptors" in sentence or "open files" in sentence)
        worker.kill()
    worker = start(name="with-enough", most_files=128).wait_ready()
    assert outcomes(sandbox) == {f"h{n}": 1 for n in range(COUNT)}
    worker.stop_clean()


@pytest.mark.sandbox(script="latency 20ms")
def test_descriptors_run_out_in_the_middle(start, sandbox):
    worker = start().wait_ready()
    worker.limit_files(worker.open_files() + 1)
    request_all(sandbox)
    wait_until(lambda: sandbox.book()["steps"]["fetch"]["sent"] > 0 or "open files" in worker.stderr(), 30,
               "a call, or a word")
    before = worker.cpu_seconds()
    assert worker.get("/readyz")[0] in (0, 200, 503)  # it may have no descriptor for us, but must not spin for want of it
    worker.check_alive()
    assert worker.cpu_seconds() - before < 2
    worker.limit_files(1024)
    assert outcomes(sandbox) == {f"h{n}": 1 for n in range(COUNT)}
    worker.stop_clean()


def test_a_full_disk_under_the_log(start, sandbox):
    with open("/dev/full", "wb") as full:
        worker = start(stderr=full).wait_ready()
    request_all(sandbox)
    assert outcomes(sandbox) == {f"h{n}": 1 for n in range(COUNT)}
    assert worker.metric("handoffd_log_lines_dropped_total") > 0
    worker.stop_clean()


def test_nobody_reads_the_log(start, sandbox):
    """The pipe is full, then the ring; the loop goes on, and the end does not wait either."""
    reader, writer = os.pipe()
    try:
        worker = start(stderr=writer).wait_ready()
        for n in range(40):
            produce(sandbox.bootstrap, Topics().requests,
                    [{"key": b"k", "value": b'{"handoffId":"bad-%d-%d"}' % (n, i)} for i in range(200)])
        request_all(sandbox)
        wait_until(lambda: worker.metric("handoffd_outcomes_total", status="completed") == COUNT, 60, "the handoffs")
        assert worker.metric("handoffd_log_lines_dropped_total") > 0
        worker.stop_clean()
    finally:
        os.close(reader)
        os.close(writer)
