"""delivery = "exactly-once" on Apache Kafka: outcome, retry and offset in one transaction, through crashes and rebalances.

The judges are a read_committed reader (each request has one outcome) and the simulator's book (no trigger executed
twice while it honours the Idempotency-Key).
"""
import collections
import threading
import time

import pytest

from lib import Kafka, Topics, Worker, create_topics, end_offsets, group_offsets, produce, read_all, request, wait_until

EXACTLY_ONCE = {"HANDOFFD_KAFKA_DELIVERY": "exactly-once"}
MIXED = "latency 10ms\nlock every=15 for=2s\non update reply 500 every=40\n"


@pytest.fixture
def pool(folder, apache, simulator):
    """Topics of its own, and workers under exactly-once by name: the name is the instance."""
    topics = Topics.unique()
    create_topics(apache.bootstrap, {name: topics.partitions for name in topics.all()})

    def start(name, ready=True, env=None, **changes):
        kafka = {"instance": name, **changes.pop("kafka", {})}
        w = Worker(folder, Kafka(apache.bootstrap, "apache"), topics, simulator, name=name,
                   env={**EXACTLY_ONCE, "HANDOFFD_KAFKA_INSTANCE": kafka["instance"],
                        "HANDOFFD_KAFKA_STATIC_MEMBERSHIP": "true" if kafka.get("static_membership") else "false",
                        **(env or {})}, **changes)
        return w.wait_ready() if ready else w
    start.topics, start.bootstrap, start.simulator = topics, apache.bootstrap, simulator
    return start


def keyed(n):
    return {"key": f"s{n}".encode(), "value": request(f"s{n}", handoffId=f"h{n}")}


class Load:
    """Requests at a steady rate while a disturbance goes on."""

    def __init__(self, pool, count, per_second):
        self.count = count
        self.thread = threading.Thread(target=self._run, args=(pool, per_second), daemon=True)
        self.thread.start()

    def _run(self, pool, per_second):
        begin, step = time.monotonic(), max(1, per_second // 10)
        for n in range(0, self.count, step):
            produce(pool.bootstrap, pool.topics.requests, [keyed(m) for m in range(n, min(n + step, self.count))])
            time.sleep(max(0, begin + (n + step) / per_second - time.monotonic()))

    def judge(self, pool, timeout=120):
        self.thread.join(timeout)
        outcomes = read_all(pool.bootstrap, pool.topics.outcomes, self.count, timeout=timeout)
        ids = collections.Counter(o.json()["handoffId"] for o in outcomes)
        assert {name: n for name, n in ids.items() if n != 1} == {}, "each request has one outcome"
        assert len(ids) == self.count
        assert {o.json()["status"] for o in outcomes} <= {"completed", "initiated"}
        book = pool.simulator.book()
        assert book["sessionsTriggeredTwice"] == 0, "no trigger is executed twice"
        return outcomes


@pytest.mark.limit(240)
@pytest.mark.sandbox(script=MIXED)
@pytest.mark.parametrize("same_instance", [True, False])
def test_worker_killed_under_load(pool, same_instance):
    workers = [pool("a"), pool("b")]
    load = Load(pool, 3000, 200)
    for turn in range(3):
        time.sleep(3)
        workers[turn % 2].kill()
        workers[turn % 2] = pool(workers[turn % 2].name if same_instance else f"again-{turn}", ready=False)
    load.judge(pool)
    for w in workers:
        w.stop_clean()


@pytest.mark.limit(120)
@pytest.mark.sandbox(script="latency 10ms\n")
def test_static_member_resumes_within_three_seconds_of_its_restart(pool):
    static = {"static_membership": True}
    workers = {name: pool(name, kafka=static) for name in ("a", "b")}
    wait_until(lambda: all(w.owned(pool.topics.requests) == 2 for w in workers.values()), 30, "each to own two")
    load = Load(pool, 2000, 200)
    time.sleep(3)
    rebalances = workers["b"].metric("handoffd_rebalances_total")
    workers["a"].kill()
    begin = time.monotonic()
    workers["a"] = pool("a", ready=False, kafka=static)
    wait_until(lambda: workers["a"].get("/metrics")[0] == 200 and
               workers["a"].metric("handoffd_outcomes_total", status="completed") > 0, 30, "work to go on")
    assert time.monotonic() - begin < 3
    load.judge(pool)
    assert workers["b"].metric("handoffd_rebalances_total") == rebalances, "the other one was not disturbed"
    for w in workers.values():
        w.stop_clean()


@pytest.mark.limit(240)
@pytest.mark.sandbox(script=MIXED)
def test_frozen_worker_proves_what_it_owns(pool):
    workers = [pool("a"), pool("b")]
    load = Load(pool, 2000, 150)
    time.sleep(3)
    workers[0].freeze()
    time.sleep(14)  # beyond the session time-out of 6 s and the time a frozen transaction is waited for
    workers[0].thaw()
    load.judge(pool, timeout=180)
    for w in workers:
        w.stop_clean()


@pytest.mark.limit(180)
@pytest.mark.sandbox(script="latency 5ms\n")
def test_older_of_two_with_one_instance_ends_and_says_so(pool):
    first = pool("twin")
    load = Load(pool, 1000, 100)
    time.sleep(2)
    second = pool("twin", ready=False)
    assert first.wait(60) == 1
    assert any("used twice" in line["message"] for line in first.log() if line["level"] == "error")
    load.judge(pool)
    second.stop_clean()


@pytest.mark.limit(240)
@pytest.mark.sandbox(script=MIXED)
def test_pool_grows_and_shrinks_under_load(pool):
    workers = [pool("w0")]
    load = Load(pool, 3000, 150)
    for n in range(1, 4):
        time.sleep(2)
        workers.append(pool(f"w{n}", ready=False))
    for _ in range(3):
        time.sleep(2)
        workers.pop(0).stop_clean(60)
    load.judge(pool)
    assert pool.simulator.book()["sessionsTriggerSentTwice"] == 0, "a clean hand-over repeats nothing"
    workers.pop().stop_clean()
    assert group_offsets(pool.bootstrap, pool.topics.group, pool.topics.requests, pool.topics.partitions).keys() == \
        end_offsets(pool.bootstrap, pool.topics.requests).keys()
