"""handoffctl replay on Apache Kafka: dead letters once more, each once, under their own ids, and never in a circle."""
import collections

import pytest

from lib import Pool, Tool, end_offsets, produce, read_all, request, wait_until

BROKEN = "on trigger reply 500\n"


@pytest.fixture
def pool(folder, apache, simulator):
    return Pool(folder, apache, simulator)


@pytest.fixture
def tool(folder, pool):
    return Tool(folder, pool.bootstrap, pool.topics)


@pytest.fixture
def worker(pool):
    """Gives up at the first connector error."""
    return pool.start("a", retry={"budget_server": 1})


def row(result, reason):
    (found,) = [row for row in result["reasons"] if row["reason"] == reason]
    return found


def letters(pool, count):
    return read_all(pool.bootstrap, pool.topics.dead_letters, count)


@pytest.mark.sandbox(script=BROKEN)
def test_what_failed_is_handed_over_once(pool, tool, worker):
    produce(pool.bootstrap, pool.topics.requests, [
        *({"key": b"s-%d" % n, "value": request(f"s-{n}", handoffId=f"h-{n}", ttlMs=60000), "partition": n,
           "headers": {"mine": b"\x00\xff", "handoff-batch": b"b"}} for n in range(3)),
        {"key": b"s-3", "value": request("s-3")}, {"key": b"bad", "value": b"{}"}])
    dead = {r.key: r for r in letters(pool, 5)}
    pool.simulator.script("rules clear")
    before = sum(end_offsets(pool.bootstrap, pool.topics.requests).values())

    told = tool.json("replay", "--dry-run")
    assert (told["letters"], told["replayed"]) == (5, 0)
    assert row(told, "upstream.server_error") == {
        "reason": "upstream.server_error", "letters": 4, "toReplay": 4, "replayedBefore": 0, "unsure": 0, "tooOften": 0,
        "truncated": 0}
    assert row(told, "request.invalid")["toReplay"] == 1
    assert sum(end_offsets(pool.bootstrap, pool.topics.requests).values()) == before

    assert tool.json("replay", "--id", "h-1")["replayed"] == 1
    assert tool.json("replay", "--reason", "upstream.server_error")["replayed"] == 3
    again = tool.json("replay", "--reason", "upstream.server_error")
    assert again["replayed"] == 0 and row(again, "upstream.server_error")["replayedBefore"] == 4

    outcomes = read_all(pool.bootstrap, pool.topics.outcomes, 9)
    worker.wait_idle()
    assert len(read_all(pool.bootstrap, pool.topics.outcomes)) == 9
    ended = collections.Counter((o.json()["handoffId"], o.json()["status"]) for o in outcomes)
    positional = dead[b"s-3"].header("handoff-id")
    assert ended[(positional, "completed")] == 1 and positional.startswith(pool.topics.requests + "/")
    assert all(ended[(f"h-{n}", status)] == 1 for n in range(3) for status in ("failed", "completed"))
    assert tool.json("verify")["clean"]
    assert pool.simulator.calls("trigger", "s-1")[-1]["headers"]["idempotency-key"] == "h-1.r1"

    replays = [r for r in read_all(pool.bootstrap, pool.topics.requests) if r.header("handoff-replay")]
    assert {r.header("handoff-replay") for r in replays} == {"1"}
    for r in replays:
        letter = dead[r.key]
        assert (r.value, r.header("handoff-id")) == (letter.value, letter.header("handoff-id"))
        assert r.topic + "/" + str(r.partition) == letter.header("handoff-origin").rsplit("/", 1)[0]
        assert set(r.headers) - {"mine", "handoff-batch"} == {"handoff-id", "handoff-replay", "handoff-deadline"}
        assert 890_000 < int(r.header("handoff-deadline")) - r.timestamp <= 900_000
        assert r.key == b"s-3" or (r.headers["mine"], r.headers["handoff-batch"]) == (b"\x00\xff", b"b")


@pytest.mark.sandbox(script=BROKEN)
def test_a_circle_ends(pool, tool, worker):
    produce(pool.bootstrap, pool.topics.requests, [{"key": b"s", "value": request("s", handoffId="h")}])
    for turn in range(3):
        assert [r.header("handoff-replay") for r in letters(pool, turn + 1)][turn] == (str(turn) if turn else None)
        assert tool.json("replay")["replayed"] == 1
    letters(pool, 4)
    last = tool.json("replay")
    found = row(last, "upstream.server_error")
    assert (last["replayed"], found["replayedBefore"], found["tooOften"]) == (0, 3, 1)
    assert tool.json("replay", "--max", "4")["replayed"] == 1
    wait_until(lambda: len(read_all(pool.bootstrap, pool.topics.outcomes)) == 5, 30, "five outcomes")
    assert tool.json("verify")["clean"]
    worker.stop_clean()


@pytest.mark.sandbox(script=BROKEN)
def test_sentences(pool, tool, worker):
    done = tool.run("replay", "--id", "nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ('handoffctl: there is no dead letter of "nobody"; handoffctl explain tells what became of '
                           "it\n")
    produce(pool.bootstrap, pool.topics.requests, [{"key": b"s", "value": request("s", handoffId="h")}])
    letters(pool, 1)
    done = tool.run("replay", "--dry-run")
    assert done.returncode == 0 and [line.split() for line in done.stdout.splitlines()] == [
        ["REASON", "LETTERS", "TO", "REPLAY", "REPLAYED", "UNSURE", "TOO", "OFTEN", "TRUNCATED"],
        ["upstream.server_error", "1", "1", "0", "0", "0", "0"],
        "1 of 1 dead letters would be replayed; nothing was sent".split()]
    worker.stop_clean()
