"""The Cognigy simulator: its steps and what a script sets. Faults, book and control API are test_simulator_faults.py's.

Here it is judged by a client of the tests' own; elsewhere it judges the worker.
"""
import email.utils
import json
import re
import time

import pytest

from lib import wait_until
from lib.cognigy import Cognigy

ODD = '{"big":123456789012345678901234567890,"d":1.50,"e":1E5,"k\\u00e9y":"a\\/b","n":{"x":[1, 2,{"y":null}]},"a":"ü"}'
STEPS = ("login", "fetch", "update", "trigger")


@pytest.fixture
def cognigy(simulator):
    """A client with a token and a book that holds only its login."""
    client = Cognigy(simulator.base_url)
    assert client.login().status == 200
    simulator.control("POST", "reset")
    assert client.login().status == 200
    yield client
    assert simulator.stop() == 0 and simulator.stderr() == ""  # nor does a sanitizer complain


def prepare(cognigy, session="s-1"):
    """A session that has been fetched and updated."""
    assert cognigy.fetch(session).status == 200
    assert cognigy.update(session).status == 200


def variables_text(reply):
    """The text of `variables` in a fetch's reply, which stands between its neighbours."""
    return re.search(r'"variables":(.*),"telephony":', reply.text).group(1)


# --- the steps ----------------------------------------------------------------------------------------------------------

def test_a_handoff(simulator, cognigy):
    fetched = cognigy.fetch("s-1")
    assert {k: v for k, v in fetched.json().items() if k != "variables"} == {
        "sessionId": "s-1", "userId": "user_1", "channel": "voice", "status": "active",
        "telephony": {"callId": "genesys_call_1"}}
    assert cognigy.update("s-1").json() == {
        "sessionId": "s-1", "status": "transferring",
        "telephony": {"status": "transferring", "transferId": "genesys_xfer_1"}}
    assert cognigy.fetch("s-1").json()["status"] == "transferring"
    done = cognigy.trigger("s-1", "h-1").json()
    assert re.fullmatch("exec_[0-9a-f]{16}", done.pop("flowExecutionId"))
    assert done == {"status": "completed", "result": {"action": "transfer_to_genesis", "targetQueue": "queue-1",
                                                      "mediaStreamStatus": "bridged", "agentWaitTime": 2.4}}
    after = cognigy.fetch("s-1").json()
    assert (after["status"], after["telephony"]["transferId"]) == ("completed", "genesys_xfer_1")
    book = simulator.book("s-1")
    assert book["sent"] == book["executed"] == {"fetch": 3, "update": 1, "trigger": 1}
    assert [call["step"] for call in book["calls"]] == ["fetch", "update", "fetch", "trigger", "fetch"]


def test_variables_come_back_byte_for_byte(simulator, cognigy):
    default = variables_text(cognigy.fetch("s-1"))
    assert "123456789012345678901234567890" in default and "10.50" in default and "\\u00e9" in default
    for text in (ODD, "{}", '{ "a" : [ ] }', '{"twice":1,"twice":2}'):
        assert cognigy.update("s-1", text).status == 200
        assert variables_text(cognigy.fetch("s-1")) == text
        assert simulator.book("s-1")["variablesText"] == text
    assert simulator.book()["duplicateKeys"] == 1
    assert cognigy.update_text("s-1", "{}").status == 200
    assert variables_text(cognigy.fetch("s-1")) == '{"twice":1,"twice":2}'


def test_ids_are_decoded(simulator, cognigy):
    for name in ("a b", "ü/ö", "%41", "x" * 256, "a;b=c"):
        assert cognigy.fetch(name).json()["sessionId"] == name
        assert simulator.book(name)["sent"]["fetch"] == 1
    assert cognigy.fetch("x" * 257).status == 400
    assert cognigy.call("GET", "/session/a%0ab").status == 400
    assert cognigy.call("GET", "/session/a%zz").status == 400


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/session/", 404), ("GET", "/session/a/b", 404), ("GET", "/nothing", 404), ("GET", "", 404),
    ("POST", "/session/a", 405), ("DELETE", "/session/a", 405), ("GET", "/flow", 405), ("GET", "/auth/login", 405),
])
def test_requests_that_are_no_step(simulator, cognigy, method, path, status):
    assert cognigy.call(method, path).status == status
    assert simulator.book()["steps"]["other"] == {"sent": 1, "executed": 0, "status": {str(status): 1}}
    assert simulator.book()["bad"] == 1


@pytest.mark.parametrize("body", [
    "", "x", "[]", "null", '{"a":1}x', "{'variables':{}}", '{"variables":[]}', '{"variables":null}',
    '{"variables":{},"telephony":1}', '{"variables":{"a":01}}', '{"variables":{"a":"\n"}}', '{"variables":{"a":1,}}',
    '{"variables":{"a":NaN}}', '{"variables":{"a":"\\x"}}', "{" * 100,
    b'{"variables":{"a":"\xff"}}', b'{"variables":{"a":"\xed\xa0\x80"}}', b'{"a":1}\0',
])
def test_updates_that_are_no_json_or_make_no_sense(cognigy, body):
    cognigy.fetch("s-1")
    reply = cognigy.update_text("s-1", body if isinstance(body, bytes) else body.encode())
    assert reply.status == 400 and reply.json()["code"] == "bad_request"


def test_other_bodies_that_make_no_sense(simulator, cognigy):
    prepare(cognigy)
    for body in ({}, {"sessionId": "s-1"}, {"sessionId": 1, "intent": "", "text": "", "channel": ""}):
        assert cognigy.post("/flow", body).status == 400
    assert cognigy.update_text("s-1", '{"telephony":{"action":"explode"}}').status == 422
    assert cognigy.call("PUT", "/session/s-1", "{}", {"Content-Type": "text/plain"}).status == 415
    assert cognigy.call("POST", "/flow", cognigy.flow("s-1")).status == 415
    assert cognigy.trigger("nobody").status == 404 and cognigy.update("nobody").status == 404
    book = simulator.book()
    assert book["steps"]["trigger"]["executed"] == 0 and book["steps"]["update"]["executed"] == 1
    assert book["bad"] == 7


# --- script: sessions ---------------------------------------------------------------------------------------------------

def test_session_line(simulator, cognigy):
    simulator.script(f"session s-1 channel=chat status=idle callId=call-7 userId='u 7' variables='{ODD}'",
                     f"session s-2 variables={ODD}", "session 's 3' # by name only")
    one = cognigy.fetch("s-1")
    found = one.json()
    assert (found["channel"], found["status"], found["userId"]) == ("chat", "idle", "u 7")
    assert found["telephony"] == {"callId": "call-7"}
    assert variables_text(one) == ODD == variables_text(cognigy.fetch("s-2"))
    simulator.script("session s-1 status=ended")
    changed = cognigy.fetch("s-1").json()
    assert (changed["status"], changed["channel"]) == ("ended", "chat")
    assert cognigy.fetch("s 3").json()["status"] == "active"


def test_sessions_listed(simulator, cognigy):
    simulator.script("sessions listed", "session known")
    assert cognigy.fetch("known").status == 200
    assert cognigy.fetch("unknown").status == 404
    simulator.script("sessions auto")
    assert cognigy.fetch("unknown").status == 200
    assert simulator.book()["sessions"] == 2


def test_lock_as_conflict(simulator, cognigy):
    prepare(cognigy)
    simulator.script("lock s-1 for=600ms")
    assert simulator.book("s-1")["locked"]
    begin = time.monotonic()
    assert [cognigy.step(step, "s-1").status for step in STEPS[1:]] == [409] * 3
    wait_until(lambda: cognigy.fetch("s-1").status == 200, 10, "the lock to end")
    assert time.monotonic() - begin >= 0.6
    assert simulator.book("s-1")["refusedLocked"] >= 3 and simulator.book()["locked"] >= 3
    assert simulator.book("s-1")["executed"] == {"fetch": 2, "update": 1, "trigger": 0}


def test_lock_begins_with_the_first_call_and_can_be_lifted(simulator, cognigy):
    simulator.script("lock s-1 for=1h as=processing")
    assert cognigy.fetch("s-1").json()["status"] == "processing"
    assert [cognigy.step(step, "s-1").status for step in ("update", "trigger")] == [409] * 2
    simulator.script("lock s-1 for=0")
    assert cognigy.fetch("s-1").json()["status"] == "active"
    assert cognigy.update("s-1").status == 200


def test_each_so_many_th_session_is_locked(simulator, cognigy):
    simulator.script("lock every=3 for=1h")
    assert [cognigy.fetch(f"s-{n}").status for n in range(9)] == [200, 200, 409] * 3
    simulator.script("lock every=3 for=0")
    assert [cognigy.fetch(f"t-{n}").status for n in range(3)] == [200] * 3


# --- script: access -----------------------------------------------------------------------------------------------------

def test_login_is_checked(simulator, cognigy):
    assert cognigy.login(client_secret="wrong").status == 401
    assert cognigy.login(client_id="wrong").status == 401
    assert cognigy.login(grant_type="password").status == 400
    assert cognigy.post("/auth/login", {"client_id": 1}).status == 400
    simulator.script("credentials id=me secret='my secret'")
    assert cognigy.login().status == 401
    assert cognigy.login("me", "my secret").json()["token_type"] == "Bearer"
    assert simulator.book()["steps"]["login"] == {"sent": 7, "executed": 2, "status": {"200": 2, "400": 2, "401": 3}}


def test_token_is_checked(simulator, cognigy):
    good = cognigy.token
    for token in (None, "", "x", good[:-1] + ("0" if good[-1] != "0" else "1"), good + "0", good.upper(), "sbx0000"):
        cognigy.token = token
        assert [cognigy.step(step, "s-1").status for step in STEPS[1:]] == [401] * 3, token
    assert cognigy.call("GET", "/session/s-1", headers={"Authorization": f"Basic {good}"}).status == 401
    cognigy.token = good
    assert cognigy.fetch("s-1").status == 200
    simulator.script("token revoke")
    assert cognigy.fetch("s-1").json()["code"] == "token_unknown"
    assert cognigy.login().status == 200 and cognigy.fetch("s-1").status == 200


def test_token_expires(simulator, cognigy):
    simulator.script("token life=300ms")
    begin = time.monotonic()
    assert cognigy.login().json()["expires_in"] == 0
    assert cognigy.fetch("s-1").status == 200
    wait_until(lambda: cognigy.fetch("s-1").status == 401, 10, "the token to expire")
    assert time.monotonic() - begin >= 0.3
    assert cognigy.fetch("s-1").json()["code"] == "token_expired"


def test_what_a_login_reports(simulator, cognigy):
    reported = {"3600": None, "0": "0", "soon": "'\"soon\"'", "null": "null", "-1": "-1", "1.5": "1.5"}
    for value, text in reported.items():
        simulator.script(f"token expires_in={text}" if text else "token expires_in=\"\"")
        assert json.dumps(cognigy.login().json()["expires_in"]).strip('"') == value
    simulator.script("token expires_in=missing size=1000")
    reply = cognigy.login().json()
    assert "expires_in" not in reply and len(reply["access_token"]) == 1000
    assert cognigy.fetch("s-1").status == 200


@pytest.mark.parametrize("scope, allowed", [
    ("session:write flow:execute telephony:transfer", (200, 200, 200)),
    ("session:write flow:execute", (200, 200, 403)),
    ("flow:execute telephony:transfer", (200, 403, 200)),
    ("other", (200, 403, 403)),
])
def test_scopes_are_checked(simulator, cognigy, scope, allowed):
    simulator.script("session s-1", f"token scope='{scope}'")
    assert cognigy.login().json()["scope"] == scope
    assert tuple(cognigy.step(step, "s-1").status for step in STEPS[1:]) == allowed


def retry_after(reply):
    return int(reply.headers["Retry-After"])


def test_limit_of_a_period(simulator, cognigy):
    simulator.script("limit calls=3 per=2s")
    begin = time.monotonic()
    replies = [cognigy.fetch(f"s-{n}") for n in range(5)]
    assert [reply.status for reply in replies] == [200] * 3 + [429] * 2
    assert retry_after(replies[-1]) == 2 and replies[-1].headers["Date"]
    assert cognigy.login().status == 429
    time.sleep(max(0.0, begin + 2.2 - time.monotonic()))  # the period, measured from before its first call
    assert [cognigy.fetch(f"s-{n}").status for n in range(4)] == [200] * 3 + [429]
    simulator.script("limit off")
    assert cognigy.fetch("s-1").status == 200
    assert simulator.book()["rateLimited"] == 4


def test_limit_of_a_bucket(simulator, cognigy):
    simulator.script("limit calls=1 per=10s kind=bucket burst=4")
    replies = [cognigy.fetch("s-1") for _ in range(6)]
    assert [reply.status for reply in replies] == [200] * 4 + [429] * 2
    assert 1 <= retry_after(replies[-1]) <= 10
    simulator.script("limit calls=1000 per=1s kind=bucket burst=1")
    assert cognigy.fetch("s-1").status == 200
    wait_until(lambda: cognigy.fetch("s-1").status == 200, 5, "a token")


@pytest.mark.parametrize("skew", [0, 90, -7200])
def test_retry_after_as_a_date(simulator, cognigy, skew):
    simulator.script("limit calls=1 per=10s retry-after=date", f"clock skew={skew}s")
    begin = time.time()
    cognigy.fetch("s-1")
    reply = cognigy.fetch("s-1")
    date, after = (email.utils.parsedate_to_datetime(reply.headers[name]).timestamp() for name in ("Date", "Retry-After"))
    assert reply.status == 429
    assert abs(date - skew - begin) <= 2
    assert 10 <= after - date <= 11
    assert after - skew >= begin + 10


def test_limit_without_retry_after(simulator, cognigy):
    simulator.script("limit calls=1 per=10s retry-after=none")
    cognigy.fetch("s-1")
    reply = cognigy.fetch("s-1")
    assert reply.status == 429 and reply.headers["Retry-After"] is None and reply.headers["Date"]
    cognigy.fetch("s-1")
    assert simulator.book()["early"] == 0


def test_calls_that_come_too_early_are_counted(simulator, cognigy):
    simulator.script("on fetch session=s-1 reply 429 retry-after=1s times=1")
    assert retry_after(cognigy.fetch("s-1")) == 1
    limited = time.monotonic()
    cognigy.fetch("s-1")
    cognigy.fetch("s-2")
    if time.monotonic() - limited < 1:  # else the machine was too slow for "early"
        assert (simulator.book()["early"], simulator.book()["earlySameSession"]) == (2, 1)
        assert (simulator.book("s-1")["early"], simulator.book("s-2")["early"]) == (1, 0)
    time.sleep(max(0.0, limited + 1.05 - time.monotonic()))
    before = simulator.book()["early"]
    cognigy.fetch("s-1")
    assert simulator.book()["early"] == before


# --- script: steps ------------------------------------------------------------------------------------------------------

def seconds(call):
    begin = time.monotonic()
    assert call().status == 200
    return time.monotonic() - begin


def test_latency(simulator, cognigy):
    simulator.script("latency 200ms", "latency 0 fetch", "latency 100ms trigger jitter=100ms")
    assert seconds(lambda: cognigy.fetch("s-1")) < 0.2
    assert seconds(cognigy.login) >= 0.2
    assert seconds(lambda: cognigy.update("s-1")) >= 0.2
    took = [seconds(lambda: cognigy.trigger("s-1")) for _ in range(10)]
    assert min(took) >= 0.1 and max(took) - min(took) > 0.01


def test_idempotency(simulator, cognigy):
    prepare(cognigy)
    first = cognigy.trigger("s-1", "key-1").json()
    assert cognigy.update("s-1", '{"transferTarget":"queue-2"}').status == 200
    assert cognigy.trigger("s-1", "key-1").json() == first
    other = cognigy.trigger("s-1", "key-2").json()
    assert other["flowExecutionId"] != first["flowExecutionId"] and other["result"]["targetQueue"] == "queue-2"
    book = simulator.book()
    assert book["steps"]["trigger"] == {"sent": 3, "executed": 2, "status": {"200": 3}}
    assert (book["triggersReplayed"], book["sessionsTriggered"]) == (1, 1)
    assert (book["sessionsTriggerSentTwice"], book["sessionsTriggeredTwice"]) == (1, 1)
    simulator.script("idempotency ignored")
    assert cognigy.trigger("s-1", "key-1").json() != first
    simulator.script("idempotency honoured")
    assert cognigy.trigger("s-1", "key-1").json() == first
    assert cognigy.trigger("s-1").json()["flowExecutionId"] != cognigy.trigger("s-1").json()["flowExecutionId"]


def test_flow_and_transfer_lines(simulator, cognigy):
    simulator.script("flow status=failed media=disconnected session=ended", "transfer status=rejected session=idle")
    cognigy.fetch("s-1")
    update = cognigy.update("s-1").json()
    assert (update["status"], update["telephony"]["status"]) == ("idle", "rejected")
    trigger = cognigy.trigger("s-1").json()
    assert (trigger["status"], trigger["result"]["mediaStreamStatus"]) == ("failed", "disconnected")
    assert cognigy.fetch("s-1").json()["status"] == "ended"
    simulator.script("flow media=none")
    assert "mediaStreamStatus" not in cognigy.trigger("s-1").json()["result"]


def test_clock_line_moves_every_date(simulator, cognigy):
    simulator.script("clock skew=-1h")
    date = email.utils.parsedate_to_datetime(cognigy.fetch("s-1").headers["Date"]).timestamp()
    assert abs(date + 3600 - time.time()) < 5
