"""The done map at its limits, on Apache Kafka: as long as a commit can carry, damaged, somebody else's."""
import time

import pytest

from lib import Pool, keyed, produce, read_all, set_group_offset, wait_until
from lib.metadata import Offsets

MAP_MAX = 4096


@pytest.fixture
def pool(folder, apache, simulator):
    return Pool(folder, apache, simulator, partitions=1)


@pytest.fixture
def offsets(pool):
    opened = Offsets(pool.bootstrap, pool.topics.group)
    yield opened
    opened.close()


@pytest.mark.sandbox(script="on trigger session=s0 hang times=1\n")
@pytest.mark.parametrize("damage", ["foreign", "cut", "of another base", "none"])
def test_a_map_in_doubt_skips_nothing(pool, offsets, damage):
    w = pool.start("a", cognigy={"trigger_timeout_ms": 60000})
    pool.ask(range(200))
    read_all(pool.bootstrap, pool.topics.outcomes, 199)
    w.wait_idle()
    w.kill()
    base, written = offsets.read(pool.topics.requests, 0)
    assert base == 0 and written.startswith(b"hd1.")
    successor = pool.start("b")  # takes over when the session of the dead one is over
    wait_until(lambda: len(read_all(pool.bootstrap, pool.topics.outcomes)) == 200, 30, "s0 to be done")
    successor.stop_clean()
    # From here on the log is known; what a worker does with it depends on what stands beside the base.
    metadata = {"foreign": b"checked by somebody", "cut": written[:-4]}.get(damage, written)
    offsets.write(pool.topics.requests, 0, 1 if damage == "of another base" else base, metadata)
    again = pool.start("c")
    count = {"none": 201, "of another base": 399}.get(damage, 400)
    outcomes = read_all(pool.bootstrap, pool.topics.outcomes, count)
    again.wait_idle()
    again.stop_clean()
    assert len(read_all(pool.bootstrap, pool.topics.outcomes)) == count, "only what a sound map says is skipped"
    assert {o.json()["handoffId"] for o in outcomes} == {f"h{n}" for n in range(200)}
    assert offsets.read(pool.topics.requests, 0) == (200, b"")


MANY = 30_000


@pytest.mark.long
@pytest.mark.limit(300)
@pytest.mark.sandbox(script="latency 1ms\n")
def test_every_other_record_waits(pool, offsets):
    """No run lengths and no bitmap can tell more holes than there are: the base is spilled, reading goes on, and a crash
    repeats nothing."""
    places = pool.ask(range(MANY))
    set_group_offset(pool.bootstrap, pool.topics.group, pool.topics.requests, 0, MANY)
    begin_ms = int(time.time() * 1000)
    produce(pool.bootstrap, pool.topics.retry, [
        {**keyed(n), "partition": 0, "headers": {
            "handoff-id": f"h{n}", "handoff-attempt": "2", "handoff-first-seen": str(begin_ms),
            "handoff-not-before": str(begin_ms + (1_200_000 if n % 2 == 0 else 0)),
            "handoff-deadline": str(begin_ms + 3_600_000), "handoff-resume": "fetch", "handoff-reason": "session.locked",
            "handoff-budget": "rate_limited=0,locked=1,server=0,timeout=0",
            "handoff-origin": f"{pool.topics.requests}/0/{places[n][1]}",
            "handoff-progress": f"requestedAt={begin_ms},startedAt={begin_ms},fetch=1"}} for n in range(MANY)])
    w = pool.start("a")
    longest = 0

    def full():
        nonlocal longest
        longest = max(longest, len(offsets.read(pool.topics.retry, 0)[1]))
        return longest > MAP_MAX * 9 // 10
    wait_until(full, 60, "the map to be nearly full")
    w.kill()
    w = pool.start("b")
    begin = time.monotonic()
    outcomes = read_all(pool.bootstrap, pool.topics.outcomes, MANY // 2, timeout=150)
    print(f"map of {longest} bytes; {time.monotonic() - begin:.1f} s; {w.metric('handoffd_spills_total')} spills")
    assert longest <= MAP_MAX and len({o.json()["handoffId"] for o in outcomes}) == len(outcomes) == MANY // 2
    w.stop_clean()
    assert pool.verify() == {"done": MANY // 2, "pending": MANY // 2}
