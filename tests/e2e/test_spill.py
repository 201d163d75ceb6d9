"""The retry topic never blocks: a full window is spilled, what is due soon passes what is due late."""
import random
import time

import pytest

from lib import Pool, keyed, note, produce, read_all, request, set_group_offset

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


def watch(w, simulator, due, seconds):
    """Until `seconds` have passed: (how late each session's first fetch was in ms, shares of a core used and MiB
    occupied at each look)."""
    late, cpu, memory, since = {}, [], [], 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        used, begin = w.cpu_seconds(), time.monotonic()
        time.sleep(5)
        cpu.append((w.cpu_seconds() - used) / (time.monotonic() - begin))
        memory.append(w.memory_mb())
        calls, since = simulator.calls_since(since)
        for call in calls:
            if call["step"] == "fetch":
                late.setdefault(call["session"], call["ms"] - due[call["session"]])
    return late, cpu, memory


@pytest.mark.long
@pytest.mark.limit(420)
@pytest.mark.sandbox(script="latency 1ms\n")
def test_hundred_fifty_thousand_parked(folder, apache, simulator):
    """More than the memory holds. 250 are due each second; the rest of the time the worker must rest."""
    memory_mb = 256
    pool = Pool(folder, apache, simulator, partitions=12)
    due = park(pool, PARKED, int(time.time() * 1000))
    begin_ms = time.time() * 1000
    w = pool.start("a", worker={"memory_mb": memory_mb})
    late, cpu, memory = watch(w, simulator, due, WATCHED_SECONDS)
    counted = (w.metric("handoffd_retry_lateness_seconds_count") -
               w.metric("handoffd_retry_lateness_seconds_bucket", le="1"))
    slow = sum(ms > 1000 for ms in late.values())
    # What was due before all was read has waited for the start.
    late = sorted(ms for session, ms in late.items() if due[session] > begin_ms + 20_000)
    print(f"{len(late)} of {PARKED} came due: late p50 {late[len(late) // 2]} p99 {late[len(late) * 99 // 100]} max "
          f"{late[-1]} ms; {max(memory):.0f} MiB; {sum(cpu[2:]) / len(cpu[2:]):.2f} of a core, at most {max(cpu[2:]):.2f}; "
          f"{w.metric('handoffd_spills_total'):.0f} spilled; {slow} were late by more than 1 s, {counted:.0f} in the "
          "histogram")
    w.stop_clean(60)
    counts = pool.verify()
    note(None, requests=PARKED, lost=counts.get("lost", 0), doubled=counts.get("doubled", 0), sent_twice=0,
         executed_twice=simulator.book()["sessionsTriggeredTwice"], slowest_ms=late[-1])
    assert late[0] >= 0, "never early"
    assert abs(counted - slow) <= 50 + slow / 20, "the histogram tells it"
    assert late[len(late) * 99 // 100] < 5000 and max(memory) < memory_mb
    assert sum(cpu[2:]) / len(cpu[2:]) < 0.6, "reading rests instead of spinning"
    assert counts.keys() == {"done", "pending"} and sum(counts.values()) == PARKED
    assert counts["done"] >= len(late)
