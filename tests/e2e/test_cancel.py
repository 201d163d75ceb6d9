"""handoffctl cancel on Apache Kafka: whatever the handoff is doing, it ends once, and as the contract says."""
import pytest

from lib import Pool, Tool, end_offsets, produce, read_all, request, wait_until


@pytest.fixture
def pool(folder, apache, simulator):
    return Pool(folder, apache, simulator)


@pytest.fixture
def tool(folder, pool):
    return Tool(folder, pool.bootstrap, pool.topics)


def ask(pool, session, partition=None, **fields):
    place = {} if partition is None else {"partition": partition}
    return produce(pool.bootstrap, pool.topics.requests,
                   [{"key": session.encode(), "value": request(session, handoffId=f"h-{session}", **fields), **place}])


def cancel(tool, session, *words):
    return tool.json("cancel", "--session", session, *words)


def wait_parked(pool, count=1):
    wait_until(lambda: sum(end_offsets(pool.bootstrap, pool.topics.retry).values()) >= count, 30, "a retry record")


def wait_call(pool, step, session="s"):
    wait_until(lambda: pool.simulator.calls(step, session), 30, f"the {step} of {session}")


def only_outcome(pool, tool, w, session="s"):
    """The one outcome of the session; by then everything is done, and nothing lost or doubled."""
    def found():
        return [o for o in read_all(pool.bootstrap, pool.topics.outcomes) if o.key == session.encode()]
    wait_until(found, 60, f"the outcome of {session}")
    w.wait_idle()
    (outcome,) = found()
    assert tool.json("verify")["clean"]
    return outcome.json()


def is_cancelled(outcome):
    assert (outcome["status"], outcome["reason"], outcome["error"]) == ("cancelled", "request.cancelled", None)
    return "cancelRequested" not in outcome


@pytest.mark.sandbox(script="on fetch session=busy delay 5s\n")
def test_one_that_waits_for_its_turn(pool, tool):
    w = pool.start("a", limits={"max_in_flight": 1})
    ask(pool, "busy")
    wait_call(pool, "fetch", "busy")
    ask(pool, "s")
    wait_until(lambda: w.metric("handoffd_waiting") == 1, 30, "the second to wait")
    told = cancel(tool, "s")
    assert told["requestFound"] and told["topic"] == pool.topics.requests
    assert is_cancelled(only_outcome(pool, tool, w)) and pool.simulator.calls(session="s") == []
    w.stop_clean()


@pytest.mark.sandbox(script="lock s for=30s\n")
@pytest.mark.parametrize("partition", [None, 0, 1, 2, 3])
def test_one_that_is_parked(pool, tool, partition):
    """Wherever its producer has put it: another partitioner is a partition that the key does not say."""
    w = pool.start("a")
    ((place, _),) = ask(pool, "s", partition)
    wait_parked(pool)
    assert cancel(tool, "s")["partition"] == place
    outcome = only_outcome(pool, tool, w)
    assert is_cancelled(outcome) and outcome["calls"] == {"fetch": 1, "update": 0, "trigger": 0}
    w.stop_clean()


@pytest.mark.sandbox(script="on fetch session=s delay 4s times=1\n")
def test_one_whose_fetch_is_under_way(pool, tool):
    w = pool.start("a")
    ask(pool, "s")
    wait_call(pool, "fetch")
    cancel(tool, "s")
    assert is_cancelled(only_outcome(pool, tool, w))
    assert pool.simulator.book("s")["sent"]["trigger"] == 0
    w.stop_clean()


@pytest.mark.sandbox(script="on trigger session=s delay 4s\n")
def test_one_whose_trigger_was_sent_goes_on(pool, tool):
    w = pool.start("a")
    ask(pool, "s")
    wait_call(pool, "trigger")
    cancel(tool, "s")
    outcome = only_outcome(pool, tool, w)
    assert (outcome["status"], outcome["cancelRequested"]) == ("completed", True)
    w.stop_clean()


def test_one_that_is_still_to_come(pool, tool):
    w = pool.start("a")
    assert not cancel(tool, "s", "--id", "h-s")["requestFound"]
    wait_parked(pool)
    ask(pool, "s")
    assert is_cancelled(only_outcome(pool, tool, w)) and pool.simulator.calls(session="s") == []
    w.stop_clean()


def test_a_cancel_right_before_its_request(pool, tool):
    """Read in one go: the cancel is on its way to the retry topic when the request comes. The next one of the session is
    not meant."""
    w = pool.start("a")
    produce(pool.bootstrap, pool.topics.requests, [
        {"key": b"s", "value": b'{"type":"cancel","sessionId":"s"}'},
        {"key": b"s", "value": request("s", handoffId="h-1")}])
    assert is_cancelled(only_outcome(pool, tool, w)) and pool.simulator.calls(session="s") == []
    produce(pool.bootstrap, pool.topics.requests, [{"key": b"s", "value": request("s", handoffId="h-2")}])
    outcomes = {o.json()["handoffId"]: o.json()["status"] for o in read_all(pool.bootstrap, pool.topics.outcomes, 2)}
    assert outcomes == {"h-1": "cancelled", "h-2": "completed"}
    w.stop_clean()


@pytest.mark.sandbox(script="lock s for=30s\n")
def test_another_handoff_of_the_session_is_not_meant(pool, tool):
    w = pool.start("a")
    ask(pool, "s")
    wait_parked(pool)
    assert not cancel(tool, "s", "--id", "other")["requestFound"]
    wait_parked(pool, 2)
    cancel(tool, "s", "--id", "h-s")
    assert is_cancelled(only_outcome(pool, tool, w))
    w.stop_clean()


@pytest.mark.sandbox(script="on fetch session=s hang times=1\n")
def test_a_worker_that_dies_does_not_take_the_cancel_along(pool, tool):
    """It was read while a call was open: the next owner must know of it, for it starts the handoff anew."""
    first = pool.start("first")
    ask(pool, "s")
    wait_call(pool, "fetch")
    cancel(tool, "s")
    wait_until(lambda: first.metric("handoffd_requests_total") == 2, 30, "the cancel to be read")
    first.wait_idle()
    first.kill()
    second = pool.start("first")
    assert is_cancelled(only_outcome(pool, tool, second))
    assert pool.simulator.book("s")["sent"]["trigger"] == 0
    second.stop_clean()


@pytest.mark.sandbox(script='on trigger session=s reply 500 header="Retry-After: 12" times=1\n')
def test_one_that_is_parked_after_its_trigger_says_so_after_a_crash(pool, tool):
    first = pool.start("first")
    ask(pool, "s")
    wait_parked(pool)
    cancel(tool, "s")
    wait_parked(pool, 2)
    assert read_all(pool.bootstrap, pool.topics.retry, 2)[-1].header("handoff-progress").count("cancel=1") == 1
    first.wait_idle()
    first.kill()
    second = pool.start("first")
    outcome = only_outcome(pool, tool, second)
    assert outcome["status"] in ("completed", "initiated") and outcome["attempts"] == 2
    assert outcome["cancelRequested"] is True
    second.stop_clean()
