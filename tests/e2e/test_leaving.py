"""A worker is told to stop, or loses its partitions, at awkward moments."""
import pytest

from lib import group_offsets, produce, read_all, request, wait_until


def said(worker, text):
    return any(text in line["message"] for line in worker.log())


@pytest.mark.parametrize("moment", ["first line", "healthz", "assigned"])
def test_sigterm_at_any_moment_of_the_start_is_clean(broker, topics, worker, moment):
    w = worker(ready=False)
    conditions = {
        "first line": lambda: said(w, "handoffd "),
        "healthz": lambda: w.get("/healthz")[0] == 200,
        "assigned": lambda: said(w, "assigned "),
    }
    wait_until(conditions[moment], 60, moment)
    w.stop_clean()


@pytest.mark.sandbox(script="on trigger session=s-hang hang times=1\n")
def test_sigterm_while_partitions_are_given_back(broker, topics, worker):
    # The mock broker expels a member that takes longer than its session to give back.
    first = worker(name="first", worker={"revoke_ms": 1000})
    produce(broker.bootstrap, topics.requests, [
        {"key": b"s-hang", "value": request("s-hang", handoffId="hang")},
        {"key": b"s-2", "value": request("s-2", handoffId="h-2")}])
    wait_until(lambda: broker.simulator.calls("trigger", "s-hang"), 30, "the call that hangs")
    # The mock broker takes no offsets while members join: a batch on its way then would keep the next one waiting.
    wait_until(lambda: 1 in group_offsets(broker.bootstrap, topics.group, topics.requests, topics.partitions).values(), 30,
               "the other to be committed")
    second = worker(ready=False, name="second")
    wait_until(lambda: said(first, "giving back"), 60, "the rebalance")
    first.stop_clean()
    (retry,) = read_all(broker.bootstrap, topics.retry, 1)
    assert retry.header("handoff-resume") == "verify" and retry.header("handoff-id") == "hang"
    outcomes = read_all(broker.bootstrap, topics.outcomes, 2, timeout=90)
    found = {o.json()["handoffId"]: o.json()["status"] for o in outcomes}
    # Its session may have ended before the time-out of the abandoned call had passed.
    assert found in ({"hang": "completed", "h-2": "completed"}, {"hang": "initiated", "h-2": "completed"})
    assert broker.simulator.book("s-hang")["executed"]["trigger"] <= 1
    second.stop_clean()


@pytest.mark.sandbox(script="lock s-2 for=30s\non fetch delay 3s session=s-2\n")
def test_cancel_that_finds_a_call_open_is_not_lost(broker, topics, worker):
    w = worker()
    produce(broker.bootstrap, topics.requests, [{"key": b"s-2", "value": request("s-2", handoffId="h-2")}])
    wait_until(lambda: w.metric("handoffd_in_flight") == 1, 30, "the fetch to be open")
    produce(broker.bootstrap, topics.requests, [{"key": b"s-2", "value": b'{"type":"cancel","sessionId":"s-2"}'}])
    (outcome,) = read_all(broker.bootstrap, topics.outcomes, 1)
    assert (outcome.json()["handoffId"], outcome.json()["status"]) == ("h-2", "cancelled")
    assert read_all(broker.bootstrap, topics.retry) == [], "a retry would not know of the cancel"
    assert broker.simulator.book("s-2")["sent"]["trigger"] == 0
