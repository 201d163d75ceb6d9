"""The retry topic never blocks: a full window is spilled, what is due soon passes what is due late."""
import random
import time

import pytest

from lib import Pool, keyed, produce, read_all, request, set_group_offset, wait_until

LATE = 400
WINDOW = 64


@pytest.mark.limit(180)
@pytest.mark.sandbox(partitions=2, script='on fetch session=soon reply 409 header="Retry-After: 4" times=1\n'
                                          f'on fetch reply 409 header="Retry-After: 25" times={LATE}\n')
def test_short_wait_passes_a_window_full_of_long_ones(broker, topics, worker):
    w = worker(worker={"window": WINDOW})
    late = [{"key": b"late-%d" % n, "value": request(f"late-{n}", handoffId=f"late-{n}"), "partition": 0}
            for n in range(LATE)]
    produce(broker.bootstrap, topics.requests, late)
    read_all(broker.bootstrap, topics.retry, LATE)
    produce(broker.bootstrap, topics.requests, [{"key": b"soon", "value": request("soon", handoffId="soon"),
                                                 "partition": 0}])
    first, *_ = read_all(broker.bootstrap, topics.outcomes, 1)
    assert first.json()["handoffId"] == "soon" and first.json()["attempts"] == 2
    fetches = [call["ms"] for call in broker.simulator.calls("fetch", "soon")]
    assert 4000 <= fetches[1] - fetches[0] < 12000
    outcomes = read_all(broker.bootstrap, topics.outcomes, LATE + 1, timeout=120)
    assert len({o.json()["handoffId"] for o in outcomes}) == len(outcomes) == LATE + 1
    assert {o.json()["attempts"] for o in outcomes} == {2}, "spilling is no attempt"
    assert w.metric("handoffd_spills_total") > 0
    book = broker.simulator.book()
    assert book["earlySameSession"] == 0 and book["steps"]["fetch"]["sent"] == 2 * (LATE + 1)
    for retry in read_all(broker.bootstrap, topics.retry):
        assert int(retry.header("handoff-attempt")) == 2
    w.stop_clean()


PARKED = 150_000
SPAN_SECONDS = 600
WATCHED_SECONDS = 150  # of them: who is due later is told by verify


def park(pool, count, begin_ms):
    """Requests that are done in the group, each with a retry that is due 1 s to SPAN_SECONDS after `begin_ms`. Returns
    when each session is due."""
    dice = random.Random(7)
    due = {f"s{n}": begin_ms + 1000 + dice.randrange((SPAN_SECONDS - 1) * 1000) for n in range(count)}
    partitions = pool.topics.partitions
    places = pool.ask_in_turn(range(count))
    for partition in range(partitions):
        set_group_offset(pool.bootstrap, pool.topics.group, pool.topics.requests, partition,
                         sum(1 for place in places if place[0] == partition))
    produce(pool.bootstrap, pool.topics.retry, [
        {**keyed(n), "partition": partition, "headers": {
            "handoff-id": f"h{n}", "handoff-attempt": "2", "handoff-not-before": str(due[f"s{n}"]),
            "handoff-first-seen": str(begin_ms), "handoff-deadline": str(begin_ms + 3_600_000),
            "handoff-resume": "fetch", "handoff-reason": "session.locked",
            "handoff-budget": "rate_limited=0,locked=1,server=0,timeout=0",
            "handoff-origin": f"{pool.topics.requests}/{partition}/{offset}",
            "handoff-progress": f"requestedAt={begin_ms},startedAt={begin_ms},fetch=1"}}
        for n, (partition, offset) in enumerate(places)])
    return due


@pytest.mark.long
@pytest.mark.limit(420)
@pytest.mark.sandbox(script="latency 1ms\n")
@pytest.mark.parametrize("memory_mb", [256, 64])
def test_hundred_fifty_thousand_parked(folder, apache, simulator, memory_mb):
    pool = Pool(folder, apache, simulator, partitions=12)
    begin_ms = int(time.time() * 1000) + 25_000
    due = park(pool, PARKED, begin_ms)
    w = pool.start("a", worker={"memory_mb": memory_mb})
    wait_until(lambda: time.time() * 1000 > begin_ms, 60, "the first to be due soon")
    early, late, cpu, rss, fetched, since = [], [], [], [], set(), 0
    end = time.monotonic() + WATCHED_SECONDS
    while time.monotonic() < end:
        used = w.cpu_seconds()
        time.sleep(5)
        cpu.append((w.cpu_seconds() - used) / 5)
        rss.append(w.memory_mb())
        calls, since = simulator.calls_since(since)
        for call in calls:
            if call["step"] == "fetch" and call["session"] not in fetched:
                fetched.add(call["session"])
                (early if call["ms"] < due[call["session"]] else late).append(call["ms"] - due[call["session"]])
    spills = w.metric("handoffd_spills_total")
    lateness = {edge: w.metric("handoffd_retry_lateness_seconds_bucket", le=edge) for edge in ("0.01", "0.1", "1", "+Inf")}
    now_ms = time.time() * 1000
    print(f"early {len(early)}, fetched {len(fetched)}, late p50 {sorted(late)[len(late) // 2]} p99 "
          f"{sorted(late)[len(late) * 99 // 100]} max {max(late)} ms, cpu {cpu}, rss {rss}, spills {spills}, {lateness}, "
          f"parked {w.metric('handoffd_parked')}")
    w.stop_clean(60)
    print(pool.verify(), sum(1 for ms in due.values() if ms < now_ms))
