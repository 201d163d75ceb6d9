"""The harness itself: a test that fails must be able to trust what it stands on."""
import signal
import sys
import time

import pytest

from lib import Process, Topics, end_offsets, kcat, libconfig, produce, read_all, request, wait_until
from lib.worker import merged


@pytest.mark.smoke
def test_what_is_produced_is_read(broker, topics):
    records = [{"key": b"s%d" % n, "value": request(f"s{n}"), "headers": {"n": str(n)}} for n in range(200)]
    places = produce(broker.bootstrap, topics.requests, records)
    found = {(r.partition, r.offset): r for r in read_all(broker.bootstrap, topics.requests, 200)}
    assert set(found) == set(places)
    assert all(found[place].header("n") == str(n) for n, place in enumerate(places))
    assert sum(end_offsets(broker.bootstrap, topics.requests).values()) == 200
    assert len(end_offsets(broker.bootstrap, topics.retry)) == topics.partitions == Topics.partitions
    lines = kcat(broker.bootstrap, "-C", "-e", "-t", topics.requests, "-f", "%k\n").splitlines()
    assert sorted(lines) == sorted(b"s%d" % n for n in range(200))


def test_reading_fails_when_records_are_missing(broker, topics):
    produce(broker.bootstrap, topics.requests, [{"value": b"only one"}])
    with pytest.raises(AssertionError, match="1 of 2 records came out"):
        read_all(broker.bootstrap, topics.requests, 2, timeout=2)


@pytest.mark.sandbox(script="sessions listed\nsession known variables='{\"n\":1.50}'\n")
def test_simulator_takes_its_script_and_keeps_its_book(simulator):
    assert simulator.book("known")["variablesText"] == '{"n":1.50}'
    simulator.script("session other status=idle", "latency 1ms")
    assert simulator.book("other")["status"] == "idle"
    with pytest.raises(AssertionError, match="400"):
        simulator.script("session third", "no such line")
    assert simulator.book()["sessions"] == 2 and simulator.calls() == []
    simulator.reset()
    assert simulator.book()["sessions"] == 0
    assert simulator.stop() == 0


def sleeper(folder, text, seconds=60):
    program = f"import sys, time; print({text!r}, file=sys.stderr, flush=True); time.sleep({seconds})"
    return Process("sleeper", [sys.executable, "-c", program], folder)


def test_processes_are_watched_and_ended(folder):
    first, second = sleeper(folder, "first"), sleeper(folder, "second")
    wait_until(lambda: second.stderr() == "second\n", 10, "the second to speak")
    assert first.stderr_path != second.stderr_path
    second.kill()
    with pytest.raises(AssertionError, match="sleeper ended with -9:\nsecond"):
        second.check_alive()
    first.signal(signal.SIGSTOP)
    Process.end_all()
    assert first.exit_code == -signal.SIGKILL and Process.running == []


def test_waiting_ends():
    begin = time.monotonic()
    with pytest.raises(AssertionError, match="in vain for rain"):
        wait_until(lambda: False, 0.2, "rain")
    assert time.monotonic() - begin < 5
    assert wait_until(lambda: "value", 0) == "value"


def test_libconfig_text():
    assert libconfig({"a": True, "b": 3, "c": 1.5, "d": 'say "x"', "e": ["p", "q"]}) == \
        '{\n  a = true;\n  b = 3;\n  c = 1.5;\n  d = "say \\"x\\"";\n  e = [ "p", "q" ];\n}'
    assert libconfig([{"name": "acme"}]) == '( {\n  name = "acme";\n} )'
    assert libconfig(2**40) == "1099511627776L"
    assert merged({"a": {"x": 1, "y": 2}}, {"a": {"y": None, "z": 3}, "b": [1]}) == {"a": {"x": 1, "z": 3}, "b": [1]}
