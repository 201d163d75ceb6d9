"""The Cognigy simulator: faults by rule, its book, its control API. The steps are test_simulator.py's."""
import http.client
import json
import socket
import threading
import time
import urllib.error
import urllib.request

import pytest

from lib import wait_until
from lib.cognigy import JSON, Cognigy

STEPS = ("login", "fetch", "update", "trigger")
LOST = (http.client.HTTPException, OSError)


@pytest.fixture
def cognigy(simulator):
    """A client with a token and a session s-1 that is ready for a trigger; the book is as good as empty."""
    client = Cognigy(simulator.base_url)
    assert client.login().status == 200
    simulator.script("session s-1", "session s-2")
    yield client
    assert simulator.stop() == 0 and simulator.stderr() == ""  # nor does a sanitizer complain


def executed(simulator, step):
    return simulator.book()["steps"][step]["executed"]


def last(simulator):
    return simulator.calls()[-1]


# --- actions ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("step", STEPS)
def test_reply(simulator, cognigy, step):
    before = executed(simulator, step)
    simulator.script(f"on {step} reply 502 times=1 type=text/plain header='X-One: 1' header='X-Two: 2' body='bad gateway'",
                     f"on {step} reply 503 times=1")
    reply = cognigy.step(step, "s-1")
    assert (reply.status, reply.text, reply.headers["Content-Type"]) == (502, "bad gateway", "text/plain")
    assert (reply.headers["X-One"], reply.headers["X-Two"]) == ("1", "2")
    assert (last(simulator)["status"], last(simulator)["executed"], last(simulator)["fault"]) == (502, False, "reply")
    reply = cognigy.step(step, "s-1")
    assert (reply.status, reply.json()["status"], reply.headers["Content-Type"]) == (503, 503, "application/json")
    assert executed(simulator, step) == before
    assert cognigy.step(step, "s-1").status == 200
    assert executed(simulator, step) == before + 1


def test_reply_after_execution(simulator, cognigy):
    simulator.script("on trigger reply 500 after body={\"error\":\"CONNECTOR\"} times=1")
    assert cognigy.trigger("s-1", "k").json() == {"error": "CONNECTOR"}
    assert (executed(simulator, "trigger"), last(simulator)["executed"], last(simulator)["status"]) == (1, True, 500)
    assert cognigy.trigger("s-1", "k").status == 200
    assert executed(simulator, "trigger") == 1


def test_reply_with_retry_after(simulator, cognigy):
    simulator.script("on fetch reply 429 retry-after=3s times=1", "on fetch reply 503 retry-date=3s times=1",
                     "on fetch reply 429 header='Retry-After: soon' times=1")
    assert cognigy.fetch("s-1").headers["Retry-After"] == "3"
    assert cognigy.fetch("s-1").headers["Retry-After"].endswith(" GMT")
    assert cognigy.fetch("s-1").headers["Retry-After"] == "soon"


@pytest.mark.parametrize("when, done, status", [("before", 0, 0), ("during", 1, 200), ("after", 1, 0), ("", 0, 0)])
@pytest.mark.parametrize("step", STEPS)
def test_drop(simulator, cognigy, step, when, done, status):
    before = executed(simulator, step)
    simulator.script(f"on {step} drop {when} times=1")
    with pytest.raises(LOST):
        cognigy.step(step, "s-1")
    assert executed(simulator, step) == before + done
    assert (last(simulator)["status"], last(simulator)["fault"]) == (status, "drop")
    assert cognigy.step(step, "s-1").status == 200


def test_drop_during_sends_half_a_reply(simulator, cognigy):
    simulator.script("on fetch drop during times=1")
    with pytest.raises(http.client.IncompleteRead) as lost:
        cognigy.fetch("s-1")
    assert lost.value.partial.startswith(b'{"sessionId":"s-1"')


@pytest.mark.parametrize("when, done", [("before", 0), ("after", 1), ("", 1)])
def test_garbage(simulator, cognigy, when, done):
    simulator.script(f"on update garbage {when} times=1")
    with pytest.raises(http.client.BadStatusLine):
        cognigy.update("s-1")
    assert executed(simulator, "update") == done


def test_truncated(simulator, cognigy):
    simulator.script("on trigger truncated times=1")
    reply = cognigy.trigger("s-1")
    assert reply.status == 200 and len(reply.text) == int(reply.headers["Content-Length"]) > 20
    with pytest.raises(json.JSONDecodeError):
        reply.json()
    assert executed(simulator, "trigger") == 1


def test_wrong(simulator, cognigy):
    simulator.script("on fetch wrong times=1", "on trigger wrong before times=1")
    for reply in (cognigy.fetch("s-1"), cognigy.trigger("s-1")):
        assert reply.status == 200 and reply.headers["Content-Type"] == "text/html" and "<html>" in reply.text
    assert (executed(simulator, "fetch"), executed(simulator, "trigger")) == (1, 0)


@pytest.mark.parametrize("when, done", [("", 0), ("after", 1)])
def test_hang(simulator, cognigy, when, done):
    simulator.script(f"on trigger hang {when} times=1")
    connection = cognigy.start("POST", "/flow", cognigy.flow("s-1"), JSON)
    wait_until(lambda: simulator.book("s-1")["open"] == 1, 10, "the call to arrive")
    connection.sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    assert executed(simulator, "trigger") == done and simulator.book()["vanished"] == 0
    connection.sock.close()
    connection.close()
    wait_until(lambda: simulator.book()["vanished"] == 1, 10, "the hang-up to be noticed")
    assert simulator.book("s-1")["open"] == 0 and simulator.book("s-1")["vanished"] == 1
    assert last(simulator)["vanished"] and last(simulator)["status"] == 0


@pytest.mark.parametrize("when, at_arrival", [("before", 0), ("after", 1)])
def test_delay(simulator, cognigy, when, at_arrival):
    simulator.script(f"on trigger delay 400ms {when} times=1", f"on trigger delay 200ms {when} times=1")
    begin = time.monotonic()
    connection = cognigy.start("POST", "/flow", cognigy.flow("s-1"), JSON)
    wait_until(lambda: simulator.book("s-1")["open"] == 1, 10, "the call to arrive")
    done = executed(simulator, "trigger")
    if time.monotonic() - begin < 0.6:
        assert done == at_arrival
    assert cognigy.finish(connection).status == 200
    assert time.monotonic() - begin >= 0.6
    assert executed(simulator, "trigger") == 1
    assert last(simulator)["tookUs"] >= 600000


# --- which calls a rule takes -------------------------------------------------------------------------------------------

def statuses(cognigy, count, session="s-1", step="fetch", key=None):
    return [cognigy.step(step, session, key).status for _ in range(count)]


def test_a_rule_counts(simulator, cognigy):
    simulator.script("on fetch reply 500 after=2 every=3 times=2")
    assert statuses(cognigy, 12) == [200] * 4 + [500] + [200] * 2 + [500] + [200] * 4


def test_a_rule_chooses(simulator, cognigy):
    simulator.script("on any session=s-1 reply 500", "on trigger key=k-2 reply 501")
    assert [cognigy.step(step, "s-1").status for step in STEPS] == [200, 500, 500, 500]
    assert [cognigy.step(step, "s-2").status for step in STEPS] == [200] * 4
    assert statuses(cognigy, 1, "s-2", "trigger", "k-1") == [200]
    assert statuses(cognigy, 1, "s-2", "trigger", "k-2") == [501]
    simulator.script("rules clear")
    assert statuses(cognigy, 1, "s-1") == [200]


def test_the_first_rule_decides_and_an_after_rule_waits_for_an_execution(simulator, cognigy):
    simulator.script("on trigger drop after times=1", "on trigger reply 500 times=1", "on trigger reply 501 times=1")
    assert statuses(cognigy, 2, step="trigger") == [500, 501]
    with pytest.raises(LOST):
        cognigy.trigger("s-1")
    simulator.script("lock s-1 for=1h", "on trigger reply 500 after times=1")
    assert statuses(cognigy, 2, step="trigger") == [409, 409]
    simulator.script("lock s-1 for=0")
    assert statuses(cognigy, 2, step="trigger") == [500, 200]


def test_rules_outlive_their_removal_for_calls_that_wait(simulator, cognigy):
    simulator.script("on fetch delay 300ms times=1", "on fetch reply 500 body='still here'")
    connection = cognigy.start("GET", "/session/s-1")
    wait_until(lambda: simulator.book("s-1")["open"] == 1, 10, "the call to arrive")
    simulator.script("rules clear")
    assert cognigy.finish(connection).text == "still here"


# --- at once, and vanished ----------------------------------------------------------------------------------------------

def test_calls_at_once_are_counted(simulator, cognigy):
    simulator.script("latency 300ms")
    threads = [threading.Thread(target=cognigy.fetch, args=(f"s-{n % 2 + 1}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert simulator.book("s-1")["mostAtOnce"] == simulator.book("s-2")["mostAtOnce"] == 3
    assert simulator.book()["mostAtOnce"] == 3 and simulator.book()["open"] == 0


def test_a_call_whose_client_vanished_is_executed_and_counted_apart(simulator, cognigy):
    text = '{"big":12345678901234567890123,"transferTarget":"late"}'
    simulator.script("on update delay 500ms times=1")
    connection = cognigy.start("PUT", "/session/s-1", f'{{"variables":{text},"telephony":{{"action":"transfer"}}}}', JSON)
    wait_until(lambda: simulator.book("s-1")["open"] == 1, 10, "the call to arrive")
    connection.close()
    assert cognigy.fetch("s-1").status == 200  # the next call, at once: the first is not beside it any more
    book = simulator.book("s-1")
    assert (book["mostAtOnce"], book["mostAtOnceWithVanished"], book["vanished"]) == (1, 2, 1)
    wait_until(lambda: simulator.book("s-1")["executed"]["update"] == 1, 10, "the execution")
    assert simulator.book("s-1")["variablesText"] == text
    assert simulator.calls(step="update")[0]["executed"] and simulator.book()["open"] == 0


# --- book ---------------------------------------------------------------------------------------------------------------

def test_calls_are_written_down(simulator, cognigy):
    body = cognigy.flow("s-1")
    begin = time.time() * 1000
    cognigy.call("POST", "/flow?x=1", body, {**JSON, "Idempotency-Key": "k-1", "traceparent": "00-ab-cd-01",
                                             "tracestate": "a=b"})
    call = last(simulator)
    assert begin - 1 <= call.pop("ms") <= time.time() * 1000 and call.pop("tookUs") >= 0 and call.pop("seq") == 2
    assert call == {
        "step": "trigger", "method": "POST", "path": "/api/v1/flow", "session": "s-1", "status": 200, "executed": True,
        "fault": None, "vanished": False, "body": body, "bodyCut": False,
        "headers": {"authorization": "present", "idempotency-key": "k-1", "traceparent": "00-ab-cd-01",
                    "tracestate": "a=b", "content-type": "application/json"}}
    cognigy.token = None
    cognigy.fetch("s-1")
    assert last(simulator)["headers"] == {"authorization": "absent"} and last(simulator)["status"] == 401


def test_no_secret_is_written_down_but_bodies_are(simulator, cognigy):
    assert cognigy.token not in simulator.control("GET", "calls")
    cognigy.update_text("s-1", b'{"a":"\xff\x01\\"}')
    assert last(simulator)["body"] == '{"a":"�\x01\\"}'


def skip_reply(replies):
    length = 0
    while (line := replies.readline()) != b"\r\n":
        assert line
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    replies.read(length)


def test_calls_come_in_pages_and_old_ones_make_room(simulator, cognigy):
    host, port = cognigy.host.split(":")
    batch = b"GET /api/v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n" * 100
    with socket.create_connection((host, int(port))) as sock, sock.makefile("rb") as replies:
        for _ in range(501):
            sock.sendall(batch)
            for _ in range(100):
                skip_reply(replies)
    first = [json.loads(line) for line in simulator.control("GET", "calls?limit=10").splitlines()]
    assert [call["seq"] for call in first] == list(range(102, 112))
    assert len(simulator.control("GET", "calls").splitlines()) == 1000
    assert [call["seq"] for call in simulator.calls()] == list(range(102, 50102))
    assert simulator.book()["calls"] == 50101 and simulator.book()["steps"]["other"]["sent"] == 50100


def test_long_bodies_are_cut(simulator, cognigy):
    text = json.dumps({"variables": {"a": "x" * 20000}})
    assert cognigy.update_text("s-1", text).status == 200
    assert (last(simulator)["body"], last(simulator)["bodyCut"]) == (text[:16384], True)
    assert len(simulator.book("s-1")["variables"]["a"]) == 20000
    assert cognigy.update_text("s-1", "x" * (2 * 1024 * 1024 + 1)).status == 413


def test_book_modes(simulator, cognigy):
    simulator.script("book totals")
    cognigy.fetch("s-1")
    assert simulator.book("s-1")["sent"]["fetch"] == 1 and simulator.book("s-1")["calls"] == []
    assert len(simulator.calls()) == 1
    simulator.script("book off")
    cognigy.fetch("s-1")
    assert simulator.book("s-1")["sent"]["fetch"] == 1
    simulator.script("book full")
    cognigy.fetch("s-1")
    assert simulator.book("s-1")["sent"]["fetch"] == 2 and len(simulator.calls()) == 2


# --- control API --------------------------------------------------------------------------------------------------------

def test_reset_forgets_everything_and_drops_what_is_open(simulator, cognigy):
    simulator.script("session s-1 variables={}", "on fetch hang times=1", "limit calls=5 per=1h", "clock skew=1h")
    connection = cognigy.start("GET", "/session/s-1")
    wait_until(lambda: simulator.book("s-1")["open"] == 1, 10, "the call to arrive")
    simulator.reset()
    with pytest.raises(LOST):
        cognigy.finish(connection)
    book = simulator.book()
    assert (book["calls"], book["open"], book["sessions"], simulator.calls()) == (0, 0, 0, [])
    assert cognigy.fetch("s-1").status == 401
    assert cognigy.login().status == 200
    assert statuses(cognigy, 10) == [200] * 10
    assert "callerIntent" in simulator.book("s-1")["variables"]


WRONG_LINES = [
    ("no such line", '"no" is no script line; handoff-sandbox(1) lists them'), ("x=1", '"=" is no script line; handoff-sandbox(1) lists them'),
    ("session", "a session id of 1 to 256 bytes is missing here"), ("session ''", "a session id"),
    ("session s x", '"x" is one word too many; handoff-sandbox(1) says'),
    ("session s colour=red", "colour= is not known here, or stands twice; handoff-sandbox(1) says"),
    ("session s status=a status=b", "status= is not known here, or stands twice"),
    ("session s status=" + "x" * 24, "status= wants 1 to 23 bytes"),
    ("session s variables=[1]", "variables= wants a JSON object"),
    ("session s variables={\"a\":}", "variables= wants a JSON object"),
    ("session s variables={\"a\":1", "a closing bracket is missing"), ("session 's", "a closing ' is missing"),
    ('session "a\\b"', "stands before"), ("session 'a'b", 'a blank is missing before "b"'),
    ("session a\x01b", "a control character"), ("session s" + " x" * 40, "more than 32 words are in the line: split it"),
    ("sessions", '"sessions" wants auto or listed'), ("sessions auto x", '"x" is one word too many'),
    ("lock s", '"lock" wants for=DURATION'), ("lock for=1s", "a session id"), ("lock every=0 for=1s", "every=0 is not"),
    ("lock s for=soon", "for=soon is not a duration"), ("lock s for=1s as=410", "as=410 is none of: 409, processing"),
    ("lock s every=3 for=1s", '"s" is one word too many'), ("lock s for=99999999999h", "is not a duration"),
    ("limit", '"limit" wants off, or calls=N'), ("limit calls=0 per=1s", "calls=0 is not a number from 1"),
    ("limit calls=1 per=0", "per= must be longer than 0"), ("limit calls=1 kind=leaky", "none of: window, bucket"),
    ("limit calls=1 retry-after=later", "none of: seconds, date, none"), ("limit off calls=3", "calls= is not known"),
    ("token life=x", "life=x is not a duration"), ("token expires_in=soon", "expires_in= wants a JSON value"),
    ("token scope='" + "x" * 256 + "'", "scope= wants at most 255 bytes"), ("token size=10", "size=10 is not a number"),
    ("credentials id=x", '"credentials" wants id= and secret='), ("latency", '"latency" wants a duration'),
    ("latency 1s sometimes", '"sometimes" is one word too many'), ("idempotency maybe", "honoured or ignored"),
    ("flow status=''", "status= wants 1 to 23 bytes"), ("transfer media=x", "media= is not known here"),
    ("clock", '"clock" wants skew='), ("clock skew=--1s", '"clock" wants skew='), ("rules", '"rules" wants clear'),
    ("book half", '"book" wants off, totals or full'), ("on", '"on" wants login, fetch'),
    ("on Sunday reply 500", '"on" wants login, fetch'), ("on fetch", "what shall happen is one of"),
    ("on fetch explode", "what shall happen is one of"), ("on fetch reply", '"reply" wants a status'),
    ("on fetch reply 199", '"reply" wants a status'), ("on fetch delay", '"delay" wants a duration'),
    ("on fetch hang during", '"during" goes with "drop" only'), ("on fetch reply 500 header=x", 'is not of the form "Name: value"'),
    ("on fetch truncated before", "has no reply to truncate: let it come after"), ("on fetch hang times=0", "times=0 is not a number from 1"),
    ("on fetch reply 500" + " header='A: b'" * 9, "more than 8 headers"),
]


def test_wrong_lines_are_refused_with_a_sentence(simulator):
    origin = simulator.base_url.removesuffix("/api/v1")
    for line, sentence in WRONG_LINES:
        call = urllib.request.Request(f"{origin}/_sim/script", f"session before\n\n{line}\nsession behind\n".encode())
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(call, timeout=10)
        assert refused.value.code == 400, line
        error = json.loads(refused.value.read())["error"]
        assert error.startswith("script:3: ") and sentence in error, line
        assert simulator.book()["sessions"] == 0, line


def test_control_requests_that_are_none(simulator):
    for method, path, status in (("GET", "script", 405), ("POST", "book", 405), ("GET", "nothing", 404),
                                 ("GET", "book?session=unknown", 404), ("GET", "calls?since=x", 400),
                                 ("GET", "calls?limit=-1", 400)):
        with pytest.raises(AssertionError, match=f": {status} "):
            simulator.control(method, path)
    assert simulator.book()["calls"] == 0
