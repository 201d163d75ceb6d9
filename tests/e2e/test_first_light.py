"""A handoff goes from Kafka through Cognigy to its outcome: the main path and what it must survive.

The judges are an independent client that reads the topics (read_committed) and the simulator's book.
"""
import collections
import json

import pytest

from lib import Tool, end_offsets, group_offsets, kcat, produce, read_all, request, wait_until

QUEUE = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
MARKED = '{"transferTarget":"%s","transferType":"queue","handoffTrigger":true,"telephonyAction":"transfer"' % QUEUE


def keyed(session, **fields):
    return {"key": session.encode(), "value": request(session, **fields)}


def ids(outcomes):
    return collections.Counter(outcome.json()["handoffId"] for outcome in outcomes)


def check_book(simulator, executed_twice=0):
    """What no run without faults may show: two calls of one session at once, or a trigger sent twice."""
    book = simulator.book()
    assert book["mostAtOnce"] <= 1
    assert book["sessionsTriggerSentTwice"] == executed_twice
    assert book["sessionsTriggeredTwice"] == 0
    return book


@pytest.mark.smoke
def test_thousand_requests_have_thousand_outcomes(broker, topics, worker):
    w = worker()
    produce(broker.bootstrap, topics.requests, [keyed(f"s{n}", handoffId=f"h{n}") for n in range(1000)])
    outcomes = read_all(broker.bootstrap, topics.outcomes, 1000)
    assert ids(outcomes) == {f"h{n}": 1 for n in range(1000)}
    assert {o.json()["status"] for o in outcomes} == {"completed"}
    book = check_book(broker.simulator)
    assert {step: book["steps"][step]["sent"] for step in ("fetch", "update", "trigger")} == \
        {"fetch": 1000, "update": 1000, "trigger": 1000}
    assert w.metric("handoffd_outcomes_total", status="completed", reason="ok") == 1000
    assert read_all(broker.bootstrap, topics.dead_letters) == []
    w.stop_clean()
    assert group_offsets(broker.bootstrap, topics.group, topics.requests, topics.partitions) == \
        end_offsets(broker.bootstrap, topics.requests)


@pytest.mark.sandbox(script="""session s-1 status=active callId=call-1 userId=u variables='{"b":1,"transferTarget":"old","a":{"x":[1,2]}}'\n""")
def test_outcome_record_and_calls_to_the_letter(broker, topics, worker):
    worker()
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    (place,) = produce(broker.bootstrap, topics.requests, [{
        "key": b"s-1", "headers": {"traceparent": trace},
        "value": request("s-1", handoffId="h-1", metadata={"callerName": "Ann", "n": 1.50}, batchId="b-1")}])
    (outcome,) = read_all(broker.bootstrap, topics.outcomes, 1)
    origin = f"{topics.requests}/{place[0]}/{place[1]}"
    update, = broker.simulator.calls("update")
    trigger, = broker.simulator.calls("trigger")
    fetch, = broker.simulator.calls("fetch")
    assert update["body"] == (
        '{"variables":{"b":1,"transferTarget":"%s","a":{"x":[1,2]},"callerName":"Ann","n":1.5,"transferType":"queue",'
        '"handoffTrigger":true,"telephonyAction":"transfer","handoffdId":"h-1#%s#1"},'
        '"telephony":{"action":"transfer","preserveMediaStream":true}}' % (QUEUE, origin))
    assert trigger["body"] == ('{"sessionId":"s-1","intent":"__system_transfer__","text":"agent_handoff_requested",'
                               '"channel":"voice"}')
    assert trigger["headers"]["idempotency-key"] == "h-1"
    assert all(call["headers"]["traceparent"] == trace for call in (fetch, update, trigger))
    assert (fetch["method"], update["method"], trigger["method"]) == ("GET", "PUT", "POST")
    assert update["path"].endswith("/api/v1/session/s-1") and trigger["path"].endswith("/api/v1/flow")

    body = outcome.json()
    assert list(body) == ["handoffId", "batchId", "sessionId", "tenant", "status", "reason", "retryable", "queueId",
                          "transfer", "attempts", "calls", "timing", "error", "source", "worker"]
    assert (body["status"], body["reason"], body["retryable"]) == ("completed", "ok", False)
    assert body["transfer"]["callId"] == "call-1" and body["transfer"]["transferId"].startswith("genesys_xfer_")
    assert body["transfer"]["mediaStreamStatus"] == "bridged" and body["transfer"]["agentWaitTime"] == 2.4
    assert body["calls"] == {"fetch": 1, "update": 1, "trigger": 1} and body["attempts"] == 1
    assert body["source"] == {"topic": topics.requests, "partition": place[0], "offset": place[1]}
    assert body["tenant"] == "default" and body["batchId"] == "b-1" and body["error"] is None
    assert outcome.key == b"s-1"
    headers = {name: outcome.header(name) for name in outcome.headers}
    assert headers["ce_type"] == "voice.handoff.outcome.v1" and headers["ce_specversion"] == "1.0"
    assert headers["ce_subject"] == "s-1" and headers["handoff-origin"] == origin
    assert headers["handoff-status"] == "completed" and headers["handoff-reason"] == "ok"
    assert headers["handoff-id"] == "h-1" and headers["handoff-batch"] == "b-1"
    assert headers["content-type"] == "application/json" and headers["traceparent"] == trace


def test_three_shapes_of_a_request(broker, topics, worker):
    worker()
    event = {"specversion": "1.0", "id": "e-3", "type": "voice.handoff", "source": "/bot",
             "data": {"sessionId": "s-3", "queueId": QUEUE}}
    produce(broker.bootstrap, topics.requests, [
        keyed("s-1", handoffId="h-1"),
        {"key": b"s-2", "value": request("s-2"), "headers": {
            "ce_specversion": "1.0", "ce_id": "e-2", "ce_type": "voice.handoff", "ce_source": "/bot"}},
        {"key": b"s-3", "value": json.dumps(event).encode(),
         "headers": {"content-type": "application/cloudevents+json; charset=utf-8"}},
        {"key": b"s-4", "value": b"\0\0\0\0\x07" + request("s-4", handoffId="h-4")}])
    outcomes = read_all(broker.bootstrap, topics.outcomes, 4)
    assert {o.json()["handoffId"]: o.json()["status"] for o in outcomes} == \
        {"h-1": "completed", "e-2": "completed", "e-3": "completed", "h-4": "completed"}


@pytest.mark.sandbox(script="lock s-1 for=3s\nlock s-2 for=3s as=processing\n")
def test_locked_session_goes_through_the_retry_topic(broker, topics, worker):
    w = worker()
    produce(broker.bootstrap, topics.requests, [keyed("s-1", handoffId="h-1"), keyed("s-2", handoffId="h-2")])
    outcomes = {o.json()["handoffId"]: o.json() for o in read_all(broker.bootstrap, topics.outcomes, 2)}
    for number in (1, 2):
        body = outcomes[f"h-{number}"]
        assert body["status"] == "completed" and body["attempts"] >= 2
        fetches = [call["ms"] for call in broker.simulator.calls("fetch", f"s-{number}")]
        assert all(later - earlier >= 2000 for earlier, later in zip(fetches, fetches[1:])), "not before 2 s"
        assert body["timing"]["parkedMs"] >= 1999 * (body["attempts"] - 1), "the wait counts from the locked call"
    retries = read_all(broker.bootstrap, topics.retry, 2)
    sources = {r.key: r.partition for r in read_all(broker.bootstrap, topics.requests, 2)}
    for retry in retries:
        assert retry.partition == sources[retry.key], "a retry keeps its partition number"
        assert retry.header("handoff-reason") == "session.locked"
        assert retry.value == request(retry.key.decode(), handoffId=retry.header("handoff-id"))
        assert int(retry.header("handoff-attempt")) >= 2
    assert w.metric("handoffd_retries_total", reason="session.locked") == len(retries)


@pytest.mark.parametrize("step,resume", [("fetch", "fetch"), ("update", "update"), ("trigger", "update")])
def test_rate_limited_call_is_not_repeated_early(broker, topics, worker, step, resume):
    broker.simulator.script(f'on {step} session=s-1 reply 429 header="Retry-After: 3" times=1')
    worker()
    produce(broker.bootstrap, topics.requests, [keyed("s-1", handoffId="h-1")])
    (outcome,) = read_all(broker.bootstrap, topics.outcomes, 1)
    assert outcome.json()["status"] == "completed" and outcome.json()["attempts"] == 2
    (retry,) = read_all(broker.bootstrap, topics.retry, 1)
    assert retry.header("handoff-resume") == resume
    assert retry.header("handoff-budget") == "rate_limited=1,locked=0,server=0,timeout=0"
    limited = next(call for call in broker.simulator.calls(step) if call["status"] == 429)
    later = [call["ms"] for call in broker.simulator.calls() if call["seq"] > limited["seq"] and call["step"] != "login"]
    assert min(later) - limited["ms"] >= 3000, "Retry-After is strict"
    assert outcome.json()["calls"][step] == 2


def test_rate_limited_login_moves_nothing(broker, topics, worker):
    broker.simulator.script('on login reply 429 header="Retry-After: 2" times=1')
    w = worker(ready=False)
    produce(broker.bootstrap, topics.requests, [keyed("s-1", handoffId="h-1")])
    (outcome,) = read_all(broker.bootstrap, topics.outcomes, 1)
    assert outcome.json()["status"] == "completed" and outcome.json()["attempts"] == 1
    assert read_all(broker.bootstrap, topics.retry) == []
    logins = [call["ms"] for call in broker.simulator.calls("login")]
    assert len(logins) == 2 and logins[1] - logins[0] >= 2000
    w.stop_clean()


def test_poison_goes_to_the_dead_letters_byte_for_byte(broker, topics, worker):
    worker()
    poison = [b"not json", b"{\"sessionId\":\"s\"", b"\xff\xfe{}", b"", b"null", request("s", queue_id="no uuid"),
              b"{\"queueId\":\"%s\"}" % QUEUE.encode(), b"[" * 64 + b"]" * 64, request("..")]
    records = []
    for number, value in enumerate(poison):
        records.append({"key": b"bad-%d" % number, "value": value, "partition": 0, "headers": {"mine": b"\x00\xff"}})
        records.append({"key": b"s-%d" % number, "value": request(f"s-{number}"), "partition": 0})
    produce(broker.bootstrap, topics.requests, records)
    outcomes = read_all(broker.bootstrap, topics.outcomes, len(records))
    by_status = collections.Counter(o.json()["status"] for o in outcomes)
    assert by_status == {"rejected": len(poison), "completed": len(poison)}
    rejected = [o.json() for o in outcomes if o.json()["status"] == "rejected"]
    assert all(o["reason"] == "request.invalid" and o["error"]["message"] for o in rejected)
    dead = {r.key: r for r in read_all(broker.bootstrap, topics.dead_letters, len(poison))}
    for number, value in enumerate(poison):
        letter = dead[b"bad-%d" % number]
        assert letter.value == value and letter.headers["mine"] == b"\x00\xff"
        assert letter.header("handoff-reason") == "request.invalid" and letter.header("handoff-error")
        assert letter.header("handoff-origin") == f"{topics.requests}/0/{2 * number}"


ODD = r'{"big":18446744073709551616,"dec":1.10,"exp":1e400,"neg":-0,"key\u0041":"\u00e9\/","n":{"d":[1,{"x":null}]},"":0}'


@pytest.mark.sandbox(script=f"session s-1 variables='{ODD}'\n")
def test_foreign_variables_survive(broker, topics, worker):
    worker(cognigy={"marker_variable": ""})
    produce(broker.bootstrap, topics.requests, [keyed("s-1", handoffId="h-1")])
    read_all(broker.bootstrap, topics.outcomes, 1)
    update, = broker.simulator.calls("update")
    assert update["body"].startswith('{"variables":' + ODD[:-1] + "," + MARKED[1:] + "}")


@pytest.mark.parametrize("session", ["a/b?c=d&e#f", "säsßion", "100% x", "a" * 256])
def test_session_ids_are_encoded(broker, topics, worker, session):
    worker()
    produce(broker.bootstrap, topics.requests, [keyed(session, handoffId="h-1")])
    (outcome,) = read_all(broker.bootstrap, topics.outcomes, 1)
    assert outcome.json()["status"] == "completed" and outcome.json()["sessionId"] == session
    assert {call["session"] for call in broker.simulator.calls("trigger")} == {session}


@pytest.mark.sandbox(script="session s-1 channel=chat\nsession s-2 status=ended\nsession s-3 status=transferring\n"
                            "sessions listed\non update session=s-4 reply 400\nsession s-4\n"
                            "on trigger session=s-5 reply 403\nsession s-5\n")
def test_ends_that_are_no_transfer(broker, topics, worker):
    worker()
    produce(broker.bootstrap, topics.requests,
            [keyed(f"s-{n}", handoffId=f"h-{n}") for n in range(6)] + [keyed("s-0", handoffId="late", ttlMs=1,)])
    outcomes = {o.json()["handoffId"]: o.json() for o in read_all(broker.bootstrap, topics.outcomes, 7)}
    assert {name: (body["status"], body["reason"]) for name, body in outcomes.items()} == {
        "h-0": ("failed", "session.not_found"), "h-1": ("failed", "session.not_voice"),
        "h-2": ("failed", "session.ended"), "h-3": ("duplicate", "session.already_transferring"),
        "h-4": ("failed", "upstream.rejected"), "h-5": ("failed", "auth.forbidden"),
        "late": ("expired", "deadline.passed")}
    dead = {r.header("handoff-id") for r in read_all(broker.bootstrap, topics.dead_letters, 2)}
    assert dead == {"h-4", "h-5"}


def test_unknown_tenant_and_duplicate_and_cancel(broker, topics, worker):
    broker.simulator.script("lock s-3 for=20s")
    worker()
    produce(broker.bootstrap, topics.requests, [
        keyed("s-1", handoffId="h-1", tenant="nobody"),
        keyed("s-2", handoffId="h-2"), keyed("s-2", handoffId="h-2"),
        keyed("s-3", handoffId="h-3")])
    wait_until(lambda: sum(end_offsets(broker.bootstrap, topics.retry).values()) == 1, 30, "h-3 to be parked")
    produce(broker.bootstrap, topics.requests, [{"key": b"s-3", "value": b'{"type":"cancel","sessionId":"s-3"}'}])
    outcomes = read_all(broker.bootstrap, topics.outcomes, 4)
    found = collections.Counter((o.json()["handoffId"], o.json()["reason"]) for o in outcomes)
    assert found == {("h-1", "request.unknown_tenant"): 1, ("h-2", "ok"): 1, ("h-2", "request.duplicate"): 1,
                     ("h-3", "request.cancelled"): 1}
    assert broker.simulator.book("s-3")["sent"]["trigger"] == 0


@pytest.mark.sandbox(script="on trigger session=s-hole hang times=1\n")
def test_worker_killed_with_a_hole_resumes_from_the_done_map(broker, topics, worker):
    first = worker(name="first")
    records = [{"key": b"s-hole", "value": request("s-hole", handoffId="hole"), "partition": 1}]
    records += [{"key": b"s%d" % n, "value": request(f"s{n}", handoffId=f"h{n}"), "partition": 1} for n in range(200)]
    produce(broker.bootstrap, topics.requests, records)
    read_all(broker.bootstrap, topics.outcomes, 200)
    # The base is pinned by the hole; everything above it is done, and the group's metadata says so.
    wait_until(lambda: first.metric("handoffd_consumer_lag", topic=topics.requests, partition="1") == 1, 20,
               "200 of 201 to be done")
    wait_until(lambda: group_offsets(broker.bootstrap, topics.group, topics.requests, topics.partitions)[1] == 0, 20,
               "a commit with the base at the hole")
    first.wait_idle()
    first.kill()
    second = worker(name="second")
    outcomes = read_all(broker.bootstrap, topics.outcomes, 201, timeout=90)
    assert ids(outcomes) == {"hole": 1, **{f"h{n}": 1 for n in range(200)}}
    book = broker.simulator.book()
    assert book["steps"]["fetch"]["sent"] == 202, "only the hole is handled again"
    second.stop_clean()


@pytest.mark.sandbox(script="latency 30ms\nlock every=10 for=2s\n")
def test_sigterm_under_load_loses_nothing(broker, topics, worker):
    first = worker(name="first")
    produce(broker.bootstrap, topics.requests, [keyed(f"s{n}", handoffId=f"h{n}") for n in range(3000)])
    wait_until(lambda: first.metric("handoffd_outcomes_total", status="completed") > 200, 30, "work to be under way")
    first.stop_clean()
    done = len(read_all(broker.bootstrap, topics.outcomes))
    assert 200 < done < 3000
    second = worker(name="second")
    outcomes = read_all(broker.bootstrap, topics.outcomes, 3000, timeout=90)
    assert ids(outcomes) == {f"h{n}": 1 for n in range(3000)}
    assert {o.json()["status"] for o in outcomes} == {"completed"}
    check_book(broker.simulator)
    second.stop_clean()


@pytest.mark.sandbox(script="latency 20ms\n")
def test_two_workers_share_the_partitions(broker, topics, worker):
    first, second = worker(ready=False, name="first"), worker(ready=False, name="second")
    first.wait_ready()
    second.wait_ready()
    wait_until(lambda: all(w.owned(topics.requests) == topics.partitions // 2 for w in (first, second)), 60,
               "each to own half of the partitions")
    produce(broker.bootstrap, topics.requests, [keyed(f"s{n}", handoffId=f"h{n}") for n in range(1000)])
    outcomes = read_all(broker.bootstrap, topics.outcomes, 1000)
    assert ids(outcomes) == {f"h{n}": 1 for n in range(1000)}
    assert len({o.json()["worker"]["instance"] for o in outcomes}) == 2
    check_book(broker.simulator)
    first.stop_clean()
    second.stop_clean()


def test_records_of_kcat(broker, topics, worker):
    worker()
    kcat(broker.bootstrap, "-P", "-t", topics.requests, "-K", "\t",
         data=b"".join(b"k%d\t%s\n" % (n, request(f"k{n}", handoffId=f"h{n}")) for n in range(20)))
    assert ids(read_all(broker.bootstrap, topics.outcomes, 20)) == {f"h{n}": 1 for n in range(20)}
    seen = kcat(broker.bootstrap, "-C", "-e", "-t", topics.outcomes, "-f", "%k %h\n").decode().splitlines()
    assert len(seen) == 20 and all("handoff-status=completed" in line for line in seen)


def test_a_file_that_is_sent_again_harms_nothing(folder, broker, topics, worker):
    """Nobody is handed over twice, and --follow calls that clean."""
    worker()
    tool = Tool(folder, broker.bootstrap, topics)
    lines = "".join(json.dumps({"sessionId": f"again-{n}", "queueId": QUEUE}) + "\n" for n in range(5))
    first, second = (tool.json("submit", "--follow", "--batch", "b", data=lines) for _ in range(2))
    assert [(row["reason"], row["count"]) for row in first["outcomes"]] == [("ok", 5)]
    assert [(row["reason"], row["count"]) for row in second["outcomes"]] == [("request.duplicate", 5)]
    assert (second["failed"], second["missing"]) == ([], 0)
    assert broker.simulator.book()["steps"]["trigger"]["executed"] == 5
