"""What tenants and callers may expect of a pool on Apache Kafka, whatever the others do."""
import pytest

from lib import Pool, Sandbox, Tool, end_offsets, free_port, produce, read_all, request, wait_until

OWN = {"base_url": None, "client_id": None, "client_secret": None}  # nothing beside `tenants`
WINDOW = 64


@pytest.fixture
def pool(folder, apache, simulator):
    return Pool(folder, apache, simulator)


def ask(pool, session, handoff, **fields):
    produce(pool.bootstrap, pool.topics.requests,
            [{"key": session.encode(), "value": request(session, handoffId=handoff, **fields)}])


def outcomes(pool, count=None):
    return [o.json() for o in read_all(pool.bootstrap, pool.topics.outcomes, count)]


def reasons(pool, count):
    return sorted((o["handoffId"], o["reason"]) for o in outcomes(pool, count))


def wait_parked(pool, count):
    wait_until(lambda: sum(end_offsets(pool.bootstrap, pool.topics.retry).values()) >= count, 30, "the retry records")


# --- tenants ------------------------------------------------------------------------------------------------------------

def tenants(pool, rough_url):
    login = {"client_id": pool.simulator.client_id, "client_secret": pool.simulator.client_secret}
    return [{"name": "calm", "base_url": pool.simulator.base_url, **login},
            {"name": "rough", "base_url": rough_url, **login}]


def nobody():
    return f"http://127.0.0.1:{free_port()}/api/v1"


def test_unknown_and_missing_tenant(pool):
    w = pool.start("a", tenants=tenants(pool, nobody()), cognigy=OWN)
    ask(pool, "s-1", "h-1", tenant="nobody")
    ask(pool, "s-2", "h-2")
    ask(pool, "s-3", "h-3", tenant="calm")
    assert reasons(pool, 3) == [("h-1", "request.unknown_tenant"), ("h-2", "request.invalid"), ("h-3", "ok")]
    dead = read_all(pool.bootstrap, pool.topics.dead_letters, 2)
    assert {d.header("handoff-id"): d.header("handoff-reason") for d in dead} == {
        "h-1": "request.unknown_tenant", "h-2": "request.invalid"}
    w.stop_clean()


@pytest.mark.parametrize("trouble", ["is not there", pytest.param("latency 60s", marks=pytest.mark.long),
                                     pytest.param("on any reply 503", marks=pytest.mark.long),
                                     pytest.param("limit calls=1 per=300s", marks=pytest.mark.long)])
def test_a_tenant_in_trouble_fills_the_window(pool, folder, trouble):
    """Its requests have ten minutes, and stand before the other's: those are done long before."""
    there = trouble != "is not there"
    url = Sandbox(folder, broker=False, name="rough", script=trouble + "\n").base_url if there else nobody()
    w = pool.start("a", tenants=tenants(pool, url), cognigy=OWN, worker={"window": WINDOW})
    produce(pool.bootstrap, pool.topics.requests, [
        {"key": b"r", "partition": n % pool.topics.partitions,
         "value": request(f"r{n}", tenant="rough", ttlMs=600000)} for n in range(3 * WINDOW * pool.topics.partitions)])
    produce(pool.bootstrap, pool.topics.requests, [
        {"key": b"c", "partition": n, "value": request(f"c{n}", tenant="calm")} for n in range(pool.topics.partitions)])

    def calm():
        return [o["status"] for o in outcomes(pool) if o["tenant"] == "calm"]
    wait_until(lambda: len(calm()) == pool.topics.partitions, 30, "the other tenant's outcomes")
    assert set(calm()) == {"completed"}
    w.kill()


@pytest.mark.long
@pytest.mark.sandbox(script="latency 50ms\n")
def test_concurrency_is_seen_and_can_be_fixed(pool):
    w = pool.start("a", limits={"max_in_flight": 64})
    assert w.metric("handoffd_concurrency_limit", tenant="default") == 8
    pool.ask(range(600))
    wait_until(lambda: w.metric("handoffd_concurrency_limit") == 64, 30, "it to grow")
    pool.simulator.script("on any reply 503 times=3")
    pool.ask(range(600, 700))
    wait_until(lambda: w.metric("handoffd_concurrency_limit") < 64, 30, "it to shrink")
    w.stop_clean()
    w = pool.start("b", limits={"max_in_flight": 64, "adaptive_concurrency": False})
    assert w.metric("handoffd_concurrency_limit", tenant="default") == 64
    pool.simulator.script("on any reply 503 times=3")
    pool.ask(range(700, 800))
    outcomes(pool, 800)
    assert w.metric("handoffd_concurrency_limit", tenant="default") == 64
    w.stop_clean()


# --- callers ------------------------------------------------------------------------------------------------------------

def test_the_same_handoff_again_after_a_restart(pool):
    """The memory of the worker is gone; the session's marker is not."""
    w = pool.start("a")
    ask(pool, "s", "h")
    assert reasons(pool, 1) == [("h", "ok")]
    w.stop_clean()
    w = pool.start("a")
    ask(pool, "s", "h")
    ask(pool, "other", "h")  # of another session it is another handoff
    assert reasons(pool, 3) == [("h", "ok"), ("h", "ok"), ("h", "request.duplicate")]
    assert pool.simulator.book("s")["executed"]["trigger"] == 1
    w.stop_clean()


def test_a_cancel_that_came_first_and_a_crash(pool, folder):
    """It is in the retry topic, its request is not: the next owner reads both, and must not begin with the request."""
    w = pool.start("a", kafka={"static_membership": True})
    Tool(folder, pool.bootstrap, pool.topics).json("cancel", "--session", "s")
    wait_parked(pool, 1)
    w.wait_idle()
    w.kill()
    ask(pool, "s", "h")
    w = pool.start("a", kafka={"static_membership": True})
    assert reasons(pool, 1) == [("h", "request.cancelled")]
    assert pool.simulator.calls(session="s") == []
    w.stop_clean()


@pytest.mark.long
@pytest.mark.sandbox(script="lock every=1 for=60s\n")
def test_parked_cancelled_after_a_rebalance(pool, folder):
    count, slow = 40, {"locked_delay_ms": 20000}
    pool.ask_in_turn(range(count))
    pair = [pool.start("a", retry=slow)]
    wait_parked(pool, count)
    pair.append(pool.start("b", retry=slow))
    wait_until(lambda: all(w.owned(pool.topics.retry) for w in pair), 30, "both to own partitions")
    produce(pool.bootstrap, pool.topics.requests, [
        {"key": r.key, "partition": r.partition, "value": b'{"type":"cancel","sessionId":"%s"}' % r.key}
        for r in read_all(pool.bootstrap, pool.topics.requests, count)])
    assert {o["status"] for o in outcomes(pool, count)} == {"cancelled"}
    for w in pair:
        w.wait_idle()
        assert w.metric("handoffd_outcomes_total") > 0
    assert Tool(folder, pool.bootstrap, pool.topics).json("verify")["clean"]
    assert len(outcomes(pool)) == count
    for w in pair:
        w.stop_clean()
