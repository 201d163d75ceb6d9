"""Every reply has its consequence: a scenario for every row of tests/unit/reply_table.h, through real HTTP and Kafka.

Each scenario is a session of its own with its own faults; one worker meets them all at once. Judged by the records it
writes and by the simulator's book, which tells what was sent from what was executed.
"""
import dataclasses
import json
import time

import pytest

from lib import Sandbox, Topics, Worker, create_topics, free_port, produce, read_all, request, wait_until

STEPS = ("fetch", "update", "trigger")
FAST = {"retry": {"base_delay_ms": 100, "max_delay_ms": 400, "locked_delay_ms": 200, "budget_locked": 3,
                  "budget_timeout": 2},
        "cognigy": {"fetch_timeout_ms": 1000, "update_timeout_ms": 1000, "trigger_timeout_ms": 1000},
        "limits": {"breaker_failures": 100000}}

# class of a fault: what a retry record says of it: reason, budget, resume after fetch, update and trigger
RETRIED = {
    "locked": ("session.locked", "locked", "fetch", "update", "update"),
    "server": ("upstream.server_error", "server", "fetch", "update", "verify"),
    "timeout": ("upstream.timeout", "timeout", "update", "update", "verify"),
    "bad": ("upstream.bad_response", "server", "fetch", None, None),
}


@dataclasses.dataclass
class Scenario:
    step: str
    fault: str                 # the simulator's action
    status: str = "completed"
    reason: str = "ok"
    sent: int = 1              # calls of that step
    retried: str = None        # class of the first retry; None: there is none
    times: str = ""
    setup: str = ""            # script lines; {} is the session
    http_status: int = None    # as the outcome's error says; None: not looked at
    dead: bool = False
    free: bool = False         # a GET on a connection that dies without a byte may be sent again at once
    session: str = dataclasses.field(default="", init=False)

    def lines(self):
        rule = [f"on {self.step} session={self.session} {self.fault} {self.times}"] if self.fault else []
        return rule + [line.format(self.session) for line in self.setup.splitlines()]

    def retry_headers(self):
        reason, budget, *resumes = RETRIED[self.retried]
        return {"handoff-reason": reason, "handoff-resume": resumes[STEPS.index(self.step)], "handoff-attempt": "2",
                "handoff-budget": ",".join(f"{name}={int(name == budget)}"
                                           for name in ("rate_limited", "locked", "server", "timeout"))}


def once(kind, *faults, steps=STEPS):
    """The fault comes once and is got over."""
    return [Scenario(step, fault, sent=2, retried=kind, times="times=1", free=step == "fetch" and "drop" in fault)
            for fault in faults for step in steps]


def always(kind, tries, fault, reason, steps=STEPS, **more):
    """The fault comes again and again, until its budget is used up."""
    return [Scenario(step, fault, "failed", reason, tries, kind, dead=True, free=step == "fetch" and "drop" in fault,
                     **more) for step in steps]


def final(fault, reasons, dead=True, **more):
    """The fault ends it at once; `reasons` by step."""
    return [Scenario(step, fault, "failed", reason, dead=dead and reason != "session.not_found", **more)
            for step, reason in zip(STEPS, reasons)]


def decided(session, status, reason, **more):
    """What a fetch decides by itself."""
    return Scenario("fetch", "", status, reason, setup=f"session {{}} {session}", **more)


REJECTED = ["upstream.rejected"] * 3
SCENARIOS = [
    # success, and what it says
    Scenario("fetch", "", sent=1),
    Scenario("update", "reply 204", "completed", "ok"),
    Scenario("update", "reply 200 body='{\"telephony\":{\"status\":\"rejected\"}}'", "failed", "transfer.rejected",
             dead=True),
    Scenario("trigger", "reply 204", "initiated", "transfer.unconfirmed"),
    Scenario("trigger", "reply 202 body='{\"status\":\"accepted\"}'", "initiated", "transfer.unconfirmed"),
    Scenario("trigger", "reply 200 body='{\"status\":\"error\"}'", "failed", "transfer.rejected", dead=True),
    Scenario("trigger", "reply 200 body='{\"result\":{\"mediaStreamStatus\":\"disconnected\"}}'", "failed",
             "transfer.rejected", dead=True),
    Scenario("trigger", "reply 200 body='{\"result\":{\"mediaStreamStatus\":\"rejected\"}}'",
             "failed", "transfer.rejected", dead=True),
    decided("channel=chat", "failed", "session.not_voice"),
    decided("status=ended", "failed", "session.ended"),
    decided("status=transferring", "duplicate", "session.already_transferring"),
    decided("status=daydreaming", "completed", "ok"),
    # 2xx, and what it says cannot be known
    *once("bad", "reply 200 body=''", "reply 200 body='[1]'", "truncated after", "wrong after", "drop during",
          steps=("fetch",)),
    *once("timeout", "reply 200 body='[1]'", "truncated after", "wrong after", "drop during",
          steps=("update", "trigger")),
    *always("bad", 3, "reply 200 body='{'", "upstream.bad_response", steps=("fetch",), http_status=200),
    # no reply
    *once("timeout", "drop before", "drop after", "garbage before", "garbage after", "hang before", "hang after"),
    *always("timeout", 2, "drop before", "upstream.timeout", steps=("fetch", "update")),
    Scenario("trigger", "drop before", "initiated", "transfer.unconfirmed", 2, "timeout"),
    # final
    *final('reply 301 header="Location: /elsewhere"', REJECTED, http_status=301),
    *final("reply 400 body='{\"code\":\"E\"}'", REJECTED, http_status=400),
    *final("reply 413", REJECTED),
    *final("reply 422", REJECTED),
    *final("reply 404", ["session.not_found", "session.not_found", "upstream.rejected"], http_status=404),
    *final("reply 410", ["session.not_found", "session.not_found", "upstream.rejected"]),
    # locked
    *once("locked", "reply 409", "reply 412", "reply 423", "reply 409 retry-after=1s"),
    *always("locked", 3, "reply 409", "session.locked", http_status=409),
    *once("locked", "reply 200 body='{\"channel\":\"voice\",\"status\":\"processing\"}'", steps=("fetch",)),
    # the connector's error
    *once("server", "reply 500", "reply 502", "reply 503 retry-after=1s", "reply 504", "reply 599"),
    *always("server", 3, "reply 500", "upstream.server_error", http_status=500),
    # nobody can say whether it was executed
    *once("timeout", "reply 408", "reply 425"),
    *always("timeout", 2, "reply 408", "upstream.timeout", steps=("fetch", "update"), http_status=408),
    Scenario("trigger", "reply 408", "initiated", "transfer.unconfirmed", 2, "timeout", http_status=408),
]
# 401: one login, once more; 403: no more. The token that is dropped is everybody's, so these come one after the other.
UNAUTHORIZED = [
    *[Scenario(step, "reply 401", sent=2, times="times=1") for step in STEPS],
    *[Scenario(step, "reply 401", "failed", "auth.rejected", 2, dead=True, http_status=401) for step in STEPS],
    *final("reply 403", ["auth.forbidden"] * 3, http_status=403),
]
for number, scenario in enumerate(SCENARIOS + UNAUTHORIZED):
    scenario.session = f"s{number}"


def ask(broker, topics, sessions, **fields):
    produce(broker.bootstrap, topics.requests, [{"key": s.encode(), "value": request(s, handoffId=f"h-{s}", **fields)}
                                                for s in sessions])


def outcomes_of(broker, topics, count, timeout=60):
    """By session; each must have exactly one."""
    outcomes = read_all(broker.bootstrap, topics.outcomes, count, timeout=timeout)
    found = {o.json()["sessionId"]: o.json() for o in outcomes}
    assert len(found) == len(outcomes) == count
    return found


def first_retries(broker, topics):
    found = {}
    for record in read_all(broker.bootstrap, topics.retry):
        if record.header("handoff-attempt") == "2":
            found[record.key.decode()] = record
    return found


def differences(wanted, outcome, retry, book):
    """What of this scenario came otherwise than the table says; texts."""
    def differ(what, is_, should):
        return [f"{what} is {is_!r}, not {should!r}"] if is_ != should else []
    error = outcome["error"]
    result = differ("status", (outcome["status"], outcome["reason"]), (wanted.status, wanted.reason))
    result += differ("calls", outcome["calls"], {step: book["sent"][step] for step in STEPS})
    if not wanted.free:
        result += differ(f"{wanted.step}s sent", book["sent"][wanted.step], wanted.sent)
        result += differ("retry", retry is not None, wanted.retried is not None)
    if retry is not None and wanted.retried:
        headers = wanted.retry_headers()
        result += differ("retry record", {name: retry.header(name) for name in headers}, headers)
    if wanted.http_status:
        result += differ("error", (error or {}).get("httpStatus"), wanted.http_status)
        result += differ("error's stage", (error or {}).get("stage"), wanted.step)
    if wanted.status in ("completed", "duplicate"):
        result += differ("error", error, None)
    result += differ("most calls at once", book["mostAtOnce"] <= 1, True)
    return result


def judge(broker, topics, scenarios, outcomes):
    retries = first_retries(broker, topics)
    dead = {r.key.decode() for r in read_all(broker.bootstrap, topics.dead_letters)}
    wrong = []
    for wanted in scenarios:
        found = differences(wanted, outcomes[wanted.session], retries.get(wanted.session),
                            broker.simulator.book(wanted.session))
        if (wanted.session in dead) != wanted.dead:
            found.append("is a dead letter" if wanted.session in dead else "is no dead letter")
        wrong += [f"{wanted.step}: {wanted.fault or wanted.setup} {wanted.times}: {text}" for text in found]
    assert not wrong, "\n" + "\n".join(wrong)
    assert broker.simulator.book()["sessionsTriggeredTwice"] == 0, "the key is honoured: nothing is executed twice"


@pytest.mark.smoke
@pytest.mark.sandbox(script="flow session=transferring\n")
def test_every_reply_to_every_call(broker, topics, worker):
    broker.simulator.script(*[line for s in SCENARIOS for line in s.lines()])
    w = worker(**FAST)
    ask(broker, topics, [s.session for s in SCENARIOS])
    judge(broker, topics, SCENARIOS, outcomes_of(broker, topics, len(SCENARIOS)))
    assert w.metric("handoffd_breaker_state", tenant="default") == 0


def test_one_login_answers_a_refused_token(broker, topics, worker):
    broker.simulator.script(*[line for s in UNAUTHORIZED for line in s.lines()])
    worker(**FAST)
    for count, wanted in enumerate(UNAUTHORIZED, 1):
        logins = broker.simulator.book()["steps"]["login"]["sent"]
        ask(broker, topics, [wanted.session])
        outcomes = outcomes_of(broker, topics, count)
        assert broker.simulator.book()["steps"]["login"]["sent"] - logins <= 2
    judge(broker, topics, UNAUTHORIZED, outcomes)


# ---- a trigger that may have been executed ----

LOST_TRIGGERS = {"drop before": 0, "drop during": 1, "drop after": 1, "garbage after": 1, "truncated after": 1,
                 "wrong after": 1, "hang after": 1, "hang before": 0, "reply 500 after": 1, "reply 500": 0}


@pytest.mark.parametrize("key", ["honoured", "ignored"])
@pytest.mark.parametrize("retrigger", ["keyed", "never"])
def test_trigger_that_may_have_been_executed(broker, topics, worker, retrigger, key):
    """Executed once where the key is honoured, sent once with `never`, and nobody is forgotten in either."""
    sessions = {f"s{n}": fault for n, fault in enumerate(LOST_TRIGGERS)}
    broker.simulator.script(f"idempotency {key}", "flow session=transferring",
                            *[f"on trigger session={s} {fault} times=1" for s, fault in sessions.items()])
    settings = {**FAST, "cognigy": {**FAST["cognigy"], "retrigger": retrigger}}
    worker(**settings)
    ask(broker, topics, sessions)
    outcomes = outcomes_of(broker, topics, len(sessions))
    for session, fault in sessions.items():
        book, outcome, ran = broker.simulator.book(session), outcomes[session], LOST_TRIGGERS[fault]
        sent, executed = book["sent"]["trigger"], book["executed"]["trigger"]
        if retrigger == "never":
            assert (outcome["status"], sent, executed) == ("initiated", 1, ran), fault
        elif key == "honoured":
            assert (outcome["status"], sent, executed) == ("completed", 2, 1), fault
        else:
            assert (outcome["status"], sent, executed) == ("completed", 2, ran + 1), fault
        keys = {call["headers"]["idempotency-key"] for call in broker.simulator.calls("trigger", session)}
        assert keys == {f"h-{session}"}
    assert len(outcomes) == len(sessions)


# ---- 429: the gate is the tenant's, so each has its run ----

LIMITS = [("retry-after=2s", 2000), ("retry-date=3s", 2000), ('header="Retry-After: soon"', 1000),
          ('header="Retry-After: -7"', 1000), ('header="Retry-After: Sun, 06 Nov 1994 08:49:37 GMT"', 1000), ("", 1000)]


def test_rate_limit_is_waited_out(broker, topics, worker):
    """As asked for, by the tenant's clock, which is an hour ahead; about a second when it says nothing usable."""
    broker.simulator.script("clock skew=3600s", *[f"on update session=s{n} reply 429 {asked} times=1"
                                                  for n, (asked, _) in enumerate(LIMITS)])
    w = worker(limits={"max_in_flight": 1})
    for n, (asked, at_least_ms) in enumerate(LIMITS):
        ask(broker, topics, [f"s{n}"])
        outcome = outcomes_of(broker, topics, n + 1)[f"s{n}"]
        assert (outcome["status"], outcome["attempts"]) == ("completed", 2)
        limited, *later = broker.simulator.calls(session=f"s{n}")[1:]
        assert limited["status"] == 429
        assert at_least_ms <= later[0]["ms"] - limited["ms"] < at_least_ms + 2500, asked
    assert w.metric("handoffd_retries_total", reason="upstream.rate_limited") == len(LIMITS)


def test_what_waits_behind_a_gate_that_opens_too_late_is_told_at_once(broker, topics, worker):
    """One is limited for a minute; neither it nor those that wait have that long, but for one."""
    broker.simulator.script('on fetch session=first reply 429 header="Retry-After: 60" times=1')
    w = worker()
    ask(broker, topics, ["first"], ttlMs=30000)
    first = outcomes_of(broker, topics, 1)["first"]
    assert w.metric("handoffd_gate_closed", tenant="default") == 1
    ask(broker, topics, [f"s{n}" for n in range(20)], ttlMs=30000)
    ask(broker, topics, ["patient"], ttlMs=600000)
    outcomes = outcomes_of(broker, topics, 21, timeout=10)
    assert {(o["status"], o["reason"]) for o in outcomes.values()} == {("expired", "deadline.unreachable")}
    assert first["error"]["httpStatus"] == 429 and first["retryable"]
    assert broker.simulator.book()["steps"]["fetch"]["sent"] == 1, "the others were not even tried"
    w.stop_clean()
    assert first["attempts"] == 1


# ---- an outage ----

def test_outage_leaves_retry_topic_and_dead_letters_empty(apache, folder):
    """The tenant's process is gone for a while: dispatch stops, reading does not, deadlines run on, and what is left is
    done when it is back."""
    port = free_port()
    there = Sandbox(folder, broker=False, name="before", arguments=["--http-port", port])
    topics = Topics.unique()
    create_topics(apache.bootstrap, {name: topics.partitions for name in topics.all()})
    w = Worker(folder, apache, topics, there, limits={"breaker_failures": 3, "breaker_open_ms": 500},
               kafka={"delivery": "exactly-once"}).wait_ready()
    def refused():
        return w.metric("handoffd_upstream_requests_total", tenant="default", stage="fetch", code="dependency_down")
    ask(apache, topics, ["before"])
    outcomes_of(apache, topics, 1)
    there.stop()
    patient = [f"s{n}" for n in range(300)]
    ask(apache, topics, patient)
    ask(apache, topics, [f"late{n}" for n in range(20)], ttlMs=2000)
    wait_until(lambda: w.metric("handoffd_breaker_state", tenant="default") > 0, 10, "the breaker to open")
    begin, before = time.monotonic(), refused()
    expired = outcomes_of(apache, topics, 21)
    assert {o["status"] for s, o in expired.items() if s.startswith("late")} == {"expired"}
    assert refused() - before <= 2 * (time.monotonic() - begin) + 2, "one real request each half second"
    assert w.metric("handoffd_waiting") == len(patient), "it goes on reading"
    back = Sandbox(folder, broker=False, name="after", arguments=["--http-port", port])
    outcomes = outcomes_of(apache, topics, 21 + len(patient))
    assert {outcomes[s]["status"] for s in patient} == {"completed"}
    assert {outcomes[s]["attempts"] for s in patient} == {1}
    assert read_all(apache.bootstrap, topics.retry) == read_all(apache.bootstrap, topics.dead_letters) == []
    assert back.book()["sessionsTriggered"] == len(patient)
    w.stop_clean()


# ---- connector errors, and what is said of them ----

def test_connector_error_is_told_in_full_but_for_personal_values(broker, topics, worker):
    body = {"error": {"code": "CONNECTOR_FAILED", "message": "no route to +49 151 23456789"},
            "callerName": "Ada Lovelace", "detail": {"phone": ["tel:+4930123456", 7], "trace": "t-1"},
            "note": "called from +14155550123", "long": "x" * 9000}
    broker.simulator.script(f"on trigger session=s reply 500 body='{json.dumps(body)}'")
    w = worker(**FAST, log={"level": "debug"})
    ask(broker, topics, ["s"])
    error = outcomes_of(broker, topics, 1)["s"]["error"]
    (letter,) = read_all(broker.bootstrap, topics.dead_letters, 1)
    assert (error["stage"], error["httpStatus"], error["code"]) == ("trigger", 500, "CONNECTOR_FAILED")
    assert error["bodyTruncated"] and len(error["body"]) <= 8192
    assert "t-1" in error["body"] and "CONNECTOR_FAILED" in error["body"]
    said = [error["body"], error["message"], letter.header("handoff-error"), w.stderr()]
    for secret in ("Ada Lovelace", "23456789", "4930123456", "14155550123"):
        assert not [text for text in said if secret in text], secret
    assert "no route" in letter.header("handoff-error") and "no route" not in w.stderr()


# ---- the token ----

def test_one_login_for_a_thousand(broker, topics, worker):
    """A thousand requests find a token that was revoked: the calls in flight are refused, one login follows."""
    w = worker()
    ask(broker, topics, ["warm"])
    outcomes_of(broker, topics, 1)
    broker.simulator.script("token revoke", "latency 20ms any")
    ask(broker, topics, [f"s{n}" for n in range(1000)])
    outcomes = outcomes_of(broker, topics, 1001)
    assert {o["status"] for o in outcomes.values()} == {"completed"}
    book = broker.simulator.book()["steps"]
    assert book["login"]["sent"] == 2, "single flight"
    assert 1 <= book["fetch"]["status"]["401"] <= 256
    assert w.metric("handoffd_token_logins_total", tenant="default", result="ok") == 2


def test_expires_in(broker, topics, worker):
    """What is no positive number counts as an hour; a short-lived token is renewed before anybody is refused."""
    def steps():
        return broker.simulator.book()["steps"]
    worker()
    lives = ["expires_in=missing", "expires_in=0", "expires_in='\"soon\"'", "expires_in=-5"]
    for n, life in enumerate([*lives, 'life=2s expires_in=""'], 1):
        broker.simulator.script(f"token revoke {life}")
        ask(broker, topics, [f"s{n}"])
        assert outcomes_of(broker, topics, n)[f"s{n}"]["status"] == "completed"
        assert steps()["login"]["sent"] == n + 1, life
    wait_until(lambda: steps()["login"]["sent"] >= len(lives) + 4, 10, "the next logins")
    refused = steps()["fetch"]["status"]["401"]
    ask(broker, topics, ["last"])
    assert outcomes_of(broker, topics, len(lives) + 2)["last"]["status"] == "completed"
    assert steps()["fetch"]["status"]["401"] == refused == len(lives) + 1


@pytest.mark.sandbox(script="credentials id=me secret=second\n")
def test_rotated_secret_file_is_picked_up(broker, topics, worker, folder):
    secret = folder / "secret"
    secret.write_text("first\n")
    w = worker(ready=False, cognigy={"client_id": "me", "client_secret": None, "client_secret_file": str(secret)})
    ask(broker, topics, ["s"])
    wait_until(lambda: any("refused" in line["message"] for line in w.log()), 20, "the refusal in the log")
    secret.write_text("second\n")
    assert outcomes_of(broker, topics, 1)["s"]["status"] == "completed"
    assert read_all(broker.bootstrap, topics.retry) == read_all(broker.bootstrap, topics.dead_letters) == []
    assert not [line for line in w.log() if "second" in json.dumps(line)]


def test_forbidden_names_the_missing_scopes(broker, topics, worker):
    broker.simulator.script("token scope='session:write'")
    worker(**FAST)
    ask(broker, topics, ["s"])
    outcome = outcomes_of(broker, topics, 1)["s"]
    assert (outcome["reason"], outcome["retryable"]) == ("auth.forbidden", True)
    assert "flow:execute telephony:transfer" in outcome["error"]["message"]
    assert "session:write" not in outcome["error"]["message"]


# ---- bodies without an end ----

def test_bodies_that_are_too_long_or_too_slow(broker, topics, worker):
    """Longer than max_body_bytes, whatever the call: as a body that cannot be read."""
    long = "x" * 20000
    broker.simulator.script(*[f"on {step} session=s-{step} reply 200 body='{{\"a\":\"{long}\"}}' times=1"
                              for step in STEPS])
    worker(**{**FAST, "cognigy": {**FAST["cognigy"], "max_body_bytes": 8192}})
    ask(broker, topics, [f"s-{step}" for step in STEPS])
    outcomes = outcomes_of(broker, topics, 3)
    assert {o["status"] for o in outcomes.values()} == {"completed"}
    retries = first_retries(broker, topics)
    assert {s: r.header("handoff-resume") for s, r in retries.items()} == \
        {"s-fetch": "fetch", "s-update": "update", "s-trigger": "verify"}
