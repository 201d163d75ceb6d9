"""handoffctl explain on Apache Kafka: the story of one handoff, and what it waits for."""
import re

import pytest

from lib import Pool, Tool, end_offsets, produce, read_all, request, wait_until


@pytest.fixture
def pool(folder, apache, simulator):
    return Pool(folder, apache, simulator)


@pytest.fixture
def tool(folder, pool):
    return Tool(folder, pool.bootstrap, pool.topics, admin={"listen": ""})


def ask(pool, *records):
    return produce(pool.bootstrap, pool.topics.requests,
                   [{"key": session.encode(), "value": request(session, **fields)} for session, fields in records])


def wait_parked(pool, count=1):
    wait_until(lambda: sum(end_offsets(pool.bootstrap, pool.topics.retry).values()) >= count, 30, "a retry record")


def text(tool, handoff_id, *words):
    done = tool.run("explain", handoff_id, *words)
    assert (done.returncode, done.stderr) == (0, "")
    # Clock times and distances differ from run to run.
    return re.sub(r"\d\d:\d\d:\d\d\.\d{3}", "CLOCK", re.sub(r"\d+\.\d s\b", "N s", done.stdout)).splitlines()


@pytest.mark.sandbox(script='on fetch session=s reply 409 times=1\non trigger session=s reply 500 times=2\n')
def test_a_story_with_an_end(pool, tool):
    w = pool.start("a", retry={"budget_server": 2, "base_delay_ms": 200, "locked_delay_ms": 500})
    ((partition, offset),) = ask(pool, ("s", {"handoffId": "h", "batchId": "b"}))
    (outcome,) = read_all(pool.bootstrap, pool.topics.outcomes, 1)
    retries = read_all(pool.bootstrap, pool.topics.retry, 2)
    (letter,) = read_all(pool.bootstrap, pool.topics.dead_letters, 1)
    w.wait_idle()
    told = tool.json("explain", "h")
    (story,) = told["handoffs"]
    assert (story["state"], story["waitsFor"], story["sessionId"], story["batchId"], story["dueAt"]) == \
        ("ended", None, "s", "b", None)
    assert story["origin"] == f"{pool.topics.requests}/{partition}/{offset}"
    asked, locked, failed, *ends = story["events"]
    assert (asked["kind"], asked["replay"]) == ("requested", 0)
    assert [(e["kind"], e["nextAttempt"], e["step"], e["reason"], e["resume"]) for e in (locked, failed)] == [
        ("parked", 2, "fetch", "session.locked", "fetch"), ("parked", 3, "trigger", "upstream.server_error", "verify")]
    assert locked["place"] == f"{pool.topics.retry}/{partition}/{retries[0].offset}"
    assert failed["failures"] == {"rate_limited": 0, "locked": 1, "server": 1, "timeout": 0}
    by_kind = {e["kind"]: e for e in ends}
    assert by_kind["ended"]["outcome"] == outcome.json()
    assert by_kind["dead-letter"]["place"] == f"{pool.topics.dead_letters}/{letter.partition}/{letter.offset}"

    lines = text(tool, "h")
    assert lines[0].startswith(f"h of {pool.topics.requests}/{partition}/{offset}, 20") and \
        lines[0].endswith(", session s, batch b")
    assert lines[1].startswith("  CLOCK  +N s  requested; to be done by CLOCK  (")
    assert lines[2].startswith("  CLOCK  +N s  attempt 1: fetch: the session was locked; attempt 2 not before CLOCK  (")
    assert lines[3].startswith("  CLOCK  +N s  attempt 2: trigger: the connector failed (5xx); the trigger may have been "
                               "executed; attempt 3 not before CLOCK  (")
    assert any(re.match(r"  CLOCK  \+N s  ended as failed/upstream.server_error after \d+ ms and 3 attempts; trigger: 500 "
                        r".*; asking again may help  \(", line) for line in lines)
    assert "  now: it is over" in lines
    assert tool.json("replay", "--id", "h")["replayed"] == 1
    read_all(pool.bootstrap, pool.topics.outcomes, 2)
    first, second = tool.json("explain", "h")["handoffs"]
    assert (first["state"], second["state"]) == ("ended", "ended")
    assert second["events"][0]["replay"] == 1 and second["events"][-1]["outcome"]["handoffId"] == "h"
    w.stop_clean()


@pytest.mark.sandbox(script="lock s for=300s\non trigger session=limited reply 429 times=1 retry-after=200s\n")
def test_what_it_waits_for(pool, tool):
    w = pool.start("a", retry={"locked_delay_ms": 15000})
    here = f"127.0.0.1:{w.admin_port}"
    ask(pool, ("s", {"handoffId": "locked"}))
    wait_parked(pool)
    (story,) = tool.json("explain", "locked", "--admin", here)["handoffs"]
    assert (story["state"], story["waitsFor"]) == ("waiting", "lock") and story["dueAt"]
    assert any(line.startswith("  now: waits (lock) for N s; ends as expired in N s") for line in text(tool, "locked"))

    ask(pool, ("limited", {"handoffId": "limited"}))
    wait_parked(pool, 2)
    ask(pool, ("behind", {"handoffId": "behind"}))
    wait_until(lambda: w.metric("handoffd_waiting") == 1, 30, "the third to wait")
    assert tool.json("explain", "limited")["handoffs"][0]["waitsFor"] == "gate"
    told = tool.json("explain", "behind", "--admin", here)
    assert (told["worker"], told["handoffs"][0]["state"], told["handoffs"][0]["waitsFor"]) == ("a", "open", "gate")
    lines = text(tool, "behind", "--admin", here)
    assert "  now: not ended by any worker yet, and waits for its turn (gate); ends as expired in N s" in lines
    assert re.match(r"       worker a: gate closed for [\d.]+ s, breaker closed, calls 0 of \d+$", lines[-1])
    w.kill()
    assert tool.json("explain", "behind")["handoffs"][0]["waitsFor"] == "worker"
    assert "--admin HOST:PORT names another one" in text(tool, "behind", "--admin", here)[-1]


@pytest.mark.sandbox(script="lock s for=60s\n")
def test_a_cancel_is_part_of_it(pool, tool):
    w = pool.start("a")
    ask(pool, ("s", {"handoffId": "h"}), ("t", {"handoffId": "t"}))
    wait_parked(pool)
    tool.json("cancel", "--session", "s")
    read_all(pool.bootstrap, pool.topics.outcomes, 2)
    (story,) = tool.json("explain", "h")["handoffs"]
    kinds = [event["kind"] for event in story["events"]]
    assert kinds[0] == "requested" and kinds[-1] == "ended" and kinds.count("cancelled") == 1
    assert [event["kind"] for event in tool.json("explain", "t")["handoffs"][0]["events"]] == ["requested", "ended"]
    w.stop_clean()


def test_nobody_knows_it(tool):
    done = tool.run("explain", "nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ('handoffctl: no request, retry, outcome or dead letter has the id "nobody"; handoffctl follow '
                           "prints the ids of outcomes as they come\n")
