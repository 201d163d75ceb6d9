"""Batches and records over a topic's max.message.bytes under exactly-once: smaller batches, and of a record that is too
large by itself the headers."""
import pytest

from lib import Pool, produce, read_all

SMALL = 8000


@pytest.fixture
def pool(folder, apache, simulator):
    return Pool(folder, apache, simulator, partitions=1, own={"outcomes": {"max.message.bytes": str(SMALL)},
                                                              "dead_letters": {"max.message.bytes": str(SMALL)}})


@pytest.mark.limit(120)
@pytest.mark.sandbox(script="latency 1ms\n")
def test_outcomes_too_large_together(pool):
    w = pool.start("a")
    pool.ask(range(3000))
    pool.judge(3000, timeout=100)
    w.stop_clean()


@pytest.mark.sandbox(script="latency 1ms\n")
def test_one_of_many_is_too_large_alone(pool):
    """Only its dead letter is cut: the outcome says everything, the others go as they are."""
    good, size = 500, 3 * SMALL
    pool.ask(range(good))
    produce(pool.bootstrap, pool.topics.requests, [
        {"key": b"bad", "value": b"x" * size, "headers": {"mine": b"kept"}},
        {"key": b"bad", "value": b"y" * 100}])
    pool.ask(range(good, 2 * good))
    w = pool.start("a")
    outcomes = pool.judge(2 * good + 2, statuses=("completed", "rejected"))
    assert sum(o.json()["status"] == "rejected" for o in outcomes) == 2
    cut, whole = sorted(read_all(pool.bootstrap, pool.topics.dead_letters, 2), key=lambda letter: len(letter.value or b""))
    assert whole.value == b"y" * 100 and whole.header("handoff-truncated") is None
    assert not cut.value and cut.header("handoff-truncated") == str(size) and cut.header("mine") == "kept"
    assert cut.header("handoff-reason") == "request.invalid"
    w.stop_clean()
