"""limits.requests_per_second is the whole pool's, also while workers join, leave and die (Apache Kafka)."""
import time

import pytest

from lib import Pool, wait_until

RATE = 60
BURST = 12
WORKERS = 4
LIMITS = {"requests_per_second": float(RATE)}


@pytest.fixture
def pool(folder, apache, simulator):
    return Pool(folder, apache, simulator, partitions=8)


def settled(pool, *workers):
    wait_until(lambda: sum(w.owned(pool.topics.requests) for w in workers) == pool.topics.partitions, 60,
               "the pool to own all partitions")
    time.sleep(2)  # what was gained flows a second after the assignment


def rate_of(pool, seconds):
    """Calls a second of handoffs, over that long."""
    before, begin = pool.simulator.book()["calls"], time.monotonic()
    time.sleep(seconds)
    return (pool.simulator.book()["calls"] - before) / (time.monotonic() - begin)


def most_above(times_ms, rate):
    """The most calls beyond the rate that came within any stretch of time: what a bucket must hold to bear them."""
    level, most, last = 0.0, 0.0, times_ms[0]
    for at in times_ms:
        level = max(0.0, level - (at - last) * rate / 1000) + 1
        most, last = max(most, level), at
    return most


@pytest.mark.long
@pytest.mark.limit(280)
@pytest.mark.sandbox(script=f"latency 20ms\nlimit calls={RATE} per=1s kind=bucket burst={BURST}\n")
def test_rate_holds_while_workers_join_leave_and_die(pool):
    count = 110 * RATE // 3
    pool.ask_in_turn(range(count))
    workers = [pool.start("a", limits=LIMITS)]
    settled(pool, *workers)
    rates = [rate_of(pool, 5)]
    for names in (["b"], ["c", "d"]):
        workers += [pool.start(name, limits=LIMITS) for name in names]
        settled(pool, *workers)
        rates.append(rate_of(pool, 5))
    workers.pop().kill()
    workers.pop(0).stop_clean()
    settled(pool, *workers)
    rates.append(rate_of(pool, 5))
    workers.append(pool.start("d", limits=LIMITS))
    settled(pool, *workers)
    outcomes = pool.judge(count, timeout=150)
    calls = [call for call in pool.simulator.calls() if call["step"] != "login"]
    assert sum(call["status"] == 429 for call in calls) <= 0.005 * len(calls)
    assert most_above(sorted(call["ms"] for call in calls), RATE) <= BURST + 1
    assert min(rates) >= 0.95 * RATE, f"the pool uses its rate: {rates}"
    assert len({outcome.json()["worker"]["instance"] for outcome in outcomes}) >= WORKERS - 1
    for w in workers:
        w.stop_clean()
