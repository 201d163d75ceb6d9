"""The profile cognigy-ai: Cognigy.AI as its vendor documents it, played by the simulator's second personality.

The same replies as of the seed's profile come to the same consequences (as_cognigy_ai() says where they cannot, because
its replies say less); then what it has of its own: paths, bodies, credentials, targets, traceIds.
"""
import dataclasses
import json

import pytest

from lib import Worker, produce, read_all, request, wait_until
from test_replies import FAST, SCENARIOS, UNAUTHORIZED, judge, outcomes_of

USER = {"userId": "user 1", "urlToken": "token-1"}
DEPRECATED = {"endpoint_url": "", "flow_path": "/v2.0/endpoint/inject"}
UNCONFIRMED = {"status": "initiated", "reason": "transfer.unconfirmed"}


def origin(simulator):
    return "/".join(simulator.base_url.split("/")[:3])


def settings(simulator, **changes):
    """The section cognigy."""
    return {"profile": "cognigy-ai", "base_url": origin(simulator), "endpoint_url": origin(simulator), "client_id": None,
            **changes}


def ask(broker, topics, sessions, **fields):
    produce(broker.bootstrap, topics.requests,
            [{"key": s.encode(), "value": request(s, **{"handoffId": f"h-{s}", **USER, **fields})} for s in sessions])


def as_cognigy_ai(seed):
    """What becomes of the seed's scenario here: a success never tells of the transfer, a trigger that may have been
    executed is never repeated, and a conversation shows nothing of a session but that it was transferred."""
    says_nothing = seed.step != "fetch" and seed.fault.startswith(("reply 2", "truncated", "wrong"))
    is_any_list = seed.step == "fetch" and seed.fault.startswith(("reply 200 body='[1]'", "reply 200 body='{\"channel"))
    is_unseen = any(word in seed.setup for word in ("chat", "ended"))
    changes = UNCONFIRMED if says_nothing or is_any_list or is_unseen or seed.status == "completed" else {}
    if says_nothing or is_any_list:
        changes = {**changes, "sent": 1, "retried": None, "dead": False}
    elif seed.step == "trigger" and seed.retried in ("server", "timeout"):
        changes = {**UNCONFIRMED, "sent": 1, "http_status": None, "dead": False}
    if is_any_list:  # the simulator makes no session of a fetch that a rule answers, and none follows
        changes = {**changes, "setup": "session {}"}
    scenario = dataclasses.replace(seed, **changes)
    scenario.session = seed.session
    return scenario


@pytest.mark.sandbox(script="flow session=transferring\n")
def test_every_reply_to_every_call(broker, topics, worker):
    scenarios = [as_cognigy_ai(s) for s in SCENARIOS]
    broker.simulator.script(*[line for s in scenarios for line in s.lines()])
    worker(**{**FAST, "cognigy": settings(broker.simulator, **FAST["cognigy"])})
    ask(broker, topics, [s.session for s in scenarios])
    judge(broker, topics, scenarios, outcomes_of(broker, topics, len(scenarios)))


def test_refused_key_is_read_again_once(broker, topics, worker):
    scenarios = [as_cognigy_ai(s) for s in UNAUTHORIZED]
    broker.simulator.script(*[line for s in scenarios for line in s.lines()])
    worker(**{**FAST, "cognigy": settings(broker.simulator)})
    for count, wanted in enumerate(scenarios, 1):
        ask(broker, topics, [wanted.session])
        outcomes = outcomes_of(broker, topics, count)
    judge(broker, topics, scenarios, outcomes)
    assert broker.simulator.book()["steps"]["login"]["sent"] == 0


# ---- what is sent ----

@pytest.mark.parametrize("way", ["current", "deprecated", "new"])
def test_paths_and_bodies(broker, topics, worker, way):
    base = origin(broker.simulator) + ("/new" if way == "new" else "")
    worker(cognigy=settings(broker.simulator, base_url=base, **(DEPRECATED if way == "deprecated" else {})))
    ask(broker, topics, ["s/1"], metadata={"callerName": "Ann", "transferType": "mine"})
    outcome = outcomes_of(broker, topics, 1)["s/1"]
    assert (outcome["status"], outcome["reason"], outcome["error"]) == ("initiated", "transfer.unconfirmed", None)
    assert set(outcome["transfer"].values()) == {None}, "nothing is claimed that was not said"
    fetch, update, trigger = broker.simulator.calls()
    prefix = "/new" if way == "new" else ""
    assert [(c["method"], c["path"]) for c in (fetch, update, trigger)] == [
        ("GET", prefix + "/v2.0/conversations/s%2F1"), ("POST", prefix + "/v2.0/sessions/s%2F1/context/inject"),
        ("POST", "/v2.0/endpoint/inject" if way == "deprecated" else "/inject/token-1")]
    source = outcome["source"]
    marker = f"h-s/1#{source['topic']}/{source['partition']}/{source['offset']}#1"
    own = {"transferTarget": outcome["queueId"], "transferType": "queue", "handoffTrigger": True,
           "telephonyAction": "transfer", "handoffdId": marker}
    assert json.loads(update["body"]) == {"userId": "user 1", "context": {"callerName": "Ann", **own}}
    assert json.loads(trigger["body"]) == {"userId": "user 1", "sessionId": "s/1", "URLToken": "token-1",
                                           "text": "agent_handoff_requested", "data": own}
    assert " " not in trigger["body"].replace("user 1", "")
    assert not fetch["body"]


@pytest.mark.parametrize("kind, value", [("queue", "a1b2c3d4-e5f6-7890-abcd-ef1234567890"),
                                         ("sip", "sip:desk@sbc.example;transport=tls"), ("tel", "+4930123456789")])
def test_targets(broker, topics, worker, kind, value):
    worker(cognigy=settings(broker.simulator))
    ask(broker, topics, ["s"], queueId=None, target={"type": kind, "value": value})
    outcome = outcomes_of(broker, topics, 1)["s"]
    assert outcome["status"] == "initiated" and outcome["queueId"] == (value if kind == "queue" else None)
    context = json.loads(broker.simulator.calls("update")[0]["body"])["context"]
    assert (context["transferTarget"], context["transferType"]) == (value, kind)


@pytest.mark.parametrize("auth", ["oauth2", "oauth2-basic", "api-key", "bearer"])
def test_credentials(broker, topics, worker, folder, auth):
    broker.simulator.script("credentials id='a client:1' secret='s&cr=t + %'")
    (folder / "key").write_text("s&cr=t + %\n")
    logs_in = auth.startswith("oauth2")
    w = worker(cognigy=settings(broker.simulator, auth=auth, client_id="a client:1" if logs_in else None,
                                client_secret=None, client_secret_file=str(folder / "key"),
                                **({"token_url": origin(broker.simulator) + "/oauth2/token"} if logs_in else {})))
    ask(broker, topics, ["s"])
    assert outcomes_of(broker, topics, 1)["s"]["status"] == "initiated"
    assert broker.simulator.book()["steps"]["login"]["sent"] == int(logs_in)
    broker.simulator.script("token revoke")
    ask(broker, topics, ["t"])
    assert outcomes_of(broker, topics, 2)["t"]["status"] == "initiated"
    assert broker.simulator.book()["steps"]["login"]["sent"] == 2 * int(logs_in)
    w.stop_clean()
    assert "s&cr" not in w.stderr()


@pytest.mark.parametrize("way", [{}, DEPRECATED])
def test_wrong_key(broker, topics, worker, folder, way):
    """Refused, with the number that the vendor's support asks for; the next handoff finds the key that was mended."""
    key = folder / "key"
    key.write_text("wrong\n")
    w = worker(limits={"breaker_open_ms": 200},
               cognigy=settings(broker.simulator, client_secret=None, client_secret_file=str(key), **way))
    ask(broker, topics, ["s"])
    outcome = outcomes_of(broker, topics, 1)["s"]
    assert (outcome["reason"], outcome["retryable"], outcome["calls"]["fetch"]) == ("auth.rejected", True, 2)
    assert outcome["error"]["traceId"].startswith("sbx-trace-") and outcome["error"]["httpStatus"] == 401
    assert outcome["error"]["traceId"] in outcome["error"]["body"]
    key.write_text(broker.simulator.client_secret)
    ask(broker, topics, ["t"])
    assert outcomes_of(broker, topics, 2)["t"]["status"] == "initiated"
    assert "wrong" not in w.stderr()


# ---- limits and faults ----

def test_rate_limit(broker, topics, worker):
    """429 with Retry-After: all are handed over, and no call comes early."""
    broker.simulator.script("limit calls=20 per=2s retry-after=seconds")
    w = worker(cognigy=settings(broker.simulator))
    sessions = [f"s{n}" for n in range(20)]
    ask(broker, topics, sessions)
    assert {o["status"] for o in outcomes_of(broker, topics, len(sessions)).values()} == {"initiated"}
    book = broker.simulator.book()
    assert book["rateLimited"] > 0 and book["earlySameSession"] == 0 and book["sessionsTriggeredTwice"] == 0
    assert book["sessionsTriggered"] == len(sessions)
    assert w.metric("handoffd_retry_after_seconds_count") == book["rateLimited"]


@pytest.mark.parametrize("way", [{}, DEPRECATED])
@pytest.mark.parametrize("fault", ["hang after", "drop after", "reply 500 after"])
def test_trigger_that_was_executed_and_not_answered(broker, topics, worker, way, fault):
    broker.simulator.script(f"on trigger {fault}")
    worker(**{**FAST, "cognigy": settings(broker.simulator, **FAST["cognigy"], **way)})
    ask(broker, topics, ["s"])
    outcome = outcomes_of(broker, topics, 1)["s"]
    assert (outcome["status"], outcome["calls"]["trigger"], outcome["attempts"]) == ("initiated", 1, 2)
    assert broker.simulator.book("s")["executed"]["trigger"] == 1


def test_marker_in_the_conversation_saves_from_a_second_trigger(broker, topics, worker):
    """A worker that died behind its trigger left no record of it, but its message is in the conversation; and a second
    record of the same handoff is known for one by it, too."""
    broker.simulator.script("on trigger hang after times=1")
    first = worker(cognigy=settings(broker.simulator))
    ask(broker, topics, ["s"])
    wait_until(lambda: broker.simulator.book()["steps"]["trigger"]["executed"] == 1, 40,
               "the trigger to be executed")
    first.kill()
    second = worker(cognigy=settings(broker.simulator))
    assert outcomes_of(broker, topics, 1)["s"]["status"] == "initiated"
    second.stop_clean()
    worker(cognigy=settings(broker.simulator))
    ask(broker, topics, ["s"])
    wait_until(lambda: len(read_all(broker.bootstrap, topics.outcomes)) == 2, 30, "the second record's outcome")
    reasons = sorted(o.json()["reason"] for o in read_all(broker.bootstrap, topics.outcomes, 2))
    assert reasons == ["request.duplicate", "transfer.unconfirmed"]
    assert broker.simulator.book("s")["sent"]["trigger"] == 1


# ---- requests that lack something ----

INVALID = [({"userId": None}, "userId is missing: the tenant's profile cognigy-ai needs it"),
           ({"urlToken": None}, "urlToken is missing: the tenant's profile cognigy-ai needs it"),
           ({"userId": 7}, "userId must be a string"),
           ({"urlToken": ".."}, "urlToken must be 1 to 256 bytes without control characters, and neither . nor .."),
           ({"queueId": None}, "queueId is missing"),
           ({"target": "sip:a@b"}, "target must be an object"),
           ({"target": {"value": "+4930123456"}}, "target.type must be queue, sip or tel"),
           ({"target": {"type": "tel", "value": "0301234"}},
            "target.value must be a + and 7 to 15 digits, for target.type is tel"),
           ({"target": {"type": "sip"}}, "target.value must be a SIP URI of at most 256 printable ASCII characters, for "
                                         "target.type is sip"),
           ({"target": {"type": "queue", "value": "00000000-0000-0000-0000-000000000000"}},
            "target.value must be the same as queueId")]


def test_invalid_requests(broker, topics, worker):
    worker(cognigy=settings(broker.simulator))
    for number, (fields, _) in enumerate(INVALID):
        ask(broker, topics, [f"s{number}"], **fields)
    outcomes = outcomes_of(broker, topics, len(INVALID))
    said = {session: outcome["error"]["message"] for session, outcome in outcomes.items()}
    assert said == {f"s{number}": sentence for number, (_, sentence) in enumerate(INVALID)}
    assert {o["reason"] for o in outcomes.values()} == {"request.invalid"}
    assert broker.simulator.calls() == []


def test_two_tenants_of_different_profiles(broker, topics, folder):
    ai = {key: value for key, value in settings(broker.simulator).items() if value is not None}
    Worker(folder, broker, topics, broker.simulator, tenants=[{"name": "seed"}, {"name": "ai", **ai}]).wait_ready()
    ask(broker, topics, ["s", "s-sip"], tenant="seed")
    ask(broker, topics, ["t"], tenant="ai")
    produce(broker.bootstrap, topics.requests, [{"key": b"u", "value": request(
        "u", tenant="seed", target={"type": "tel", "value": "+4930123456789"})}])
    outcomes = outcomes_of(broker, topics, 4)
    assert {s: o["status"] for s, o in outcomes.items()} == \
        {"s": "completed", "s-sip": "completed", "t": "initiated", "u": "rejected"}
    assert outcomes["u"]["error"]["message"] == \
        "target.type must be queue: the tenant's profile seed-v1 knows no other"
    assert {c["path"].split("/")[1] for c in broker.simulator.calls(session="t")} == {"v2.0", "inject"}
