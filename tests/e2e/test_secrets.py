"""Nothing that any program ever writes about a handoff holds a secret or a caller's personal values: planted ones are
looked for in all of it, after everything that can go wrong did."""
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess

import pytest

from lib import Kafka, Process, Topics, Worker, binary, produce, read_all, request, wait_until
from lib.tool import Tool

SECRET, PASSWORD = "s3cr3t-of-the-client-Zq81", "pa55word-of-the-brokers-Xk07"
PHONE, CALLER, USER = "+49-30-5550-7421", "Ann-Katrin Personlich", "user-9f31-personal"
QUEUE = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
PLANTED = (SECRET, PASSWORD, PHONE, CALLER, USER, "Bearer ")
METADATA = {"phone": PHONE, "callerName": CALLER, "userId": USER}
ECHO = json.dumps({"error": {"code": "E7", "message": "no"}, "phone": PHONE, "callerName": CALLER,
                   "nested": [{"userId": USER}]})


def everything_goes_wrong(sandbox, names):
    """Each kind of end and of trouble, with a reply that throws the caller's values back."""
    sandbox.script(f"session s-bad variables='{json.dumps(METADATA)}'",
                   f"on fetch session=s-500 reply 500 body='{ECHO}'", f"on update session=s-400 reply 400 body='{ECHO}'",
                   f"on trigger session=s-404 reply 404 body='{ECHO}'", f"on fetch session=s-403 reply 403 body='{ECHO}'",
                   f"on update session=s-html reply 422 body='<p>{PHONE.replace('+', '')}</p>' type=text/html",
                   "on trigger session=s-drop drop after times=1", "on fetch session=s-wrong wrong",
                   "lock s-lock for=300ms", "on login reply 500 times=1")
    good = [f"s-{word}" for word in ("ok", "500", "400", "404", "403", "html", "drop", "wrong", "lock", "bad")]
    produce(sandbox.bootstrap, names.requests,
            [{"key": s.encode(), "value": request(s, handoffId=f"h-{s}", metadata=METADATA)} for s in good] +
            [{"key": b"x", "value": value.encode()} for value in (
                f'{{"sessionId":"s-x","phone":"{PHONE}"', f'{{"sessionId":"s-y","queueId":"{CALLER}"}}',
                f'{{"sessionId":7,"queueId":"q","metadata":{{"userId":"{USER}"}}}}', f'"{PHONE}"')])
    return len(good) + 4


GOOD = json.dumps({"sessionId": "s-more", "queueId": QUEUE, "metadata": METADATA}) + "\n"
NOT_GOOD = [f'{{"sessionId":"s","queueId":"{QUEUE}","metadata":{{"phone":"{PHONE}"}}',
            f'{{"sessionId":"s","queueId":"{CALLER}"}}', f'{{"sessionId":"s","queueId":["{USER}"]}}',
            f'{{"sessionId":"s","queueId":"{QUEUE}","metadata":{{"phone":["{PHONE}"]}}}}',
            f'{{"sessionId":"s","queueId":"{QUEUE}","metadata":"{CALLER}"}}', f'{GOOD.strip()} {PHONE}', f'"{PHONE}"', PHONE,
            f'{{"sessionId":"s","queueId":"{QUEUE}","priority":"{CALLER}","deadline":"{PHONE}"}}',
            f'{{"sessionId":"s","queueId":"{QUEUE}","deadline":"{PHONE}"}}',
            f'{{"sessionId":"s","queueId":"{QUEUE}","metadata":{{"{PHONE}":{{"a":1}}}}}}']
NOT_GOOD_CSV = [f"sessionId,queueId,metadata.phone\ns,{QUEUE},{PHONE},{CALLER}\n", f"sessionId,queueId\ns,{CALLER}\n",
                f'sessionId,queueId,metadata.callerName\ns,{QUEUE},"{CALLER}', f"{PHONE},{CALLER}\ns,{QUEUE}\n",
                f"sessionId,queueId,deadline\ns,{QUEUE},{PHONE}\n"]


def what_the_tool_says(tool):
    """{command line: all it said}, of each command with good and with bad input, for people and for machines."""
    said = {}

    def say(*words, code, data=None):
        done = tool.run(*words, data=data)
        key = f"{words} {data}"
        said[key] = done.stdout + done.stderr
        assert done.returncode == code and said[key], (words, data, said[key])
    for form in ([], ["--json"]):
        say("submit", *form, "--follow", data=GOOD.replace("s-more", f"s-more{len(form)}"), code=0)
        say("submit", *form, "--follow", data=GOOD.replace("s-more", "s-404"), code=3)
        say("follow", *form, "--from-start", "--count", "8", code=0)
        say("verify", *form, code=0)
        for handoff in ("h-s-500", "h-s-drop", "h-s-html"):
            say("explain", *form, handoff, code=0)
        say("explain", *form, "nobody", code=1)
        say("replay", *form, "--dry-run", code=0)
        say("replay", *form, "--id", "h-s-500", *(["--again"] if form else []), code=0)
        say("cancel", *form, "--session", "s-500", code=0)
        say("verify", *form, "-X", f"sasl.passwort={SECRET}", code=2)
        say("verify", *form, "-X", SECRET, code=2)
        say("verify", *form, "-X", f"sasl.password={PASSWORD}", "-X", "ssl.ca.location=nowhere", code=2)
        for line in NOT_GOOD[:3] if form else NOT_GOOD:
            say("submit", *form, data=f"{GOOD}{line}\n", code=2)
        for text in NOT_GOOD_CSV[:1] if form else NOT_GOOD_CSV:
            say("submit", "--csv", *form, data=text, code=2)
    return said


def test_no_program_tells_what_is_personal(folder, sandbox):
    names = Topics()
    sandbox.script(f"credentials id=sandbox secret={SECRET}")
    w = Worker(folder, Kafka(sandbox.bootstrap, "sandbox"), names, sandbox, cognigy={"client_secret": SECRET},
               kafka={"properties": ["session.timeout.ms=3000", f"sasl.password={PASSWORD}"]},
               retry={"base_delay_ms": 50}, log={"level": "debug"}).wait_ready()
    count = everything_goes_wrong(sandbox, names)
    outcomes = read_all(sandbox.bootstrap, names.outcomes, count)
    said = {f"page {path}": w.get(path)[1] for path in ("/", "/status", "/metrics", "/readyz", "/healthz")}
    letters = read_all(sandbox.bootstrap, names.dead_letters, 5)
    tool = Tool(folder, sandbox.bootstrap, names)
    said.update(what_the_tool_says(tool))
    w.stop_clean()
    said["log"] = w.stderr() + w.stdout()
    said["configuration"] = subprocess.run([binary("handoffd"), "-c", w.config_path, "--print-config"], text=True,
                                           capture_output=True, timeout=20, check=True).stdout
    for record in outcomes:
        said[f"outcome {record.json()['handoffId']}"] = record.value.decode() + repr(record.headers)
    for record in letters:
        said[f"error of dead letter {record.offset}"] = repr({name: value for name, value in record.headers.items()
                                                             if name.startswith("handoff-")})
    assert {o.json()["status"] for o in outcomes} >= {"completed", "failed", "rejected"}
    assert any(o.json()["error"] and (o.json()["error"]["body"] or "").count("nested") for o in outcomes), "bodies are kept"
    leaks = [(where, planted) for where, text in said.items() for planted in PLANTED if planted in text]
    assert leaks == []


def test_no_program_tells_a_key_or_an_endpoint_s_token(folder, sandbox):
    """Whatever a gateway throws back of what it was asked: headers, body, and the path that has the token in it."""
    token = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
    thrown = json.dumps({"title": f"POST /inject/{token} failed", "instance": f"/inject/{token}", "traceId": "trace-1",
                         "request": {"headers": {"X-API-Key": SECRET}, "body": {"URLToken": token, "userId": USER}}})
    sandbox.script(f"credentials id=sandbox secret={SECRET}", f"on trigger session=s-json reply 400 body='{thrown}'",
                   f"on trigger session=s-text reply 422 body='<p>/inject/{token}</p>' type=text/html",
                   "on trigger session=s-hang hang after")
    names, origin = Topics(), sandbox.base_url.removesuffix("/api/v1")
    w = Worker(folder, Kafka(sandbox.bootstrap, "sandbox"), names, sandbox, retry={"base_delay_ms": 50},
               log={"level": "debug"}, cognigy={"profile": "cognigy-ai", "client_id": None, "client_secret": SECRET,
                                                "base_url": origin, "endpoint_url": origin, "trigger_timeout_ms": 300})
    w.wait_ready()
    produce(sandbox.bootstrap, names.requests, [
        {"key": s.encode(), "value": request(s, handoffId=f"h-{s}", userId=USER, urlToken=token)}
        for s in ("s-ok", "s-json", "s-text", "s-hang")])
    outcomes = {o.json()["sessionId"]: o for o in read_all(sandbox.bootstrap, names.outcomes, 4)}
    assert outcomes["s-json"].json()["error"]["traceId"] == "trace-1"
    letters = read_all(sandbox.bootstrap, names.dead_letters, 2)
    said = {f"outcome {s}": o.value.decode() + repr(o.headers) for s, o in outcomes.items()}
    said.update((f"page {path}", w.get(path)[1]) for path in ("/", "/status", "/metrics"))
    said.update((f"dead letter {r.offset}", repr({name: value for name, value in r.headers.items()
                                                  if name.startswith("handoff-")})) for r in letters)
    tool = Tool(folder, sandbox.bootstrap, names)
    for words in (["explain", "h-s-json"], ["replay", "--dry-run"]):
        done = tool.run(*words)
        said[f"handoffctl {words}"] = done.stdout + done.stderr
    assert "(traceId trace-1)" in said["handoffctl ['explain', 'h-s-json']"]
    w.stop_clean()
    said["log"] = w.stderr()
    assert [(where, word) for where, text in said.items() for word in (SECRET, token, USER) if word in text] == []


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="needs root, to become somebody else")
def test_memory_is_nobody_elses(folder, sandbox):
    """Another process of the same user may neither trace it nor read its environment, where no secret is left even for
    root, and it leaves no core."""
    folder.chmod(0o755)
    sandbox.script(f"credentials id=sandbox secret={SECRET}")
    program, log = folder / "handoffd", folder / "other.log"
    shutil.copy(binary("handoffd"), program)
    w = Worker(folder, Kafka(sandbox.bootstrap, "sandbox"), Topics(), sandbox)
    w.config_path.chmod(0o644)
    w.kill()
    with log.open("w") as stderr:
        other = subprocess.Popen(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", program, "-c",
                                  w.config_path], stderr=stderr, env={
                                      "COGNIGY_CLIENT_SECRET": SECRET,
                                      "HANDOFFD_KAFKA_PROPERTIES": rf"linger.ms=7,sasl.password=a\,{SECRET}"})
    try:
        wait_until(lambda: w.get("/readyz")[0] == 200, 20, "it to have logged in")
        as_the_same = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set=-all"]
        done = subprocess.run([*as_the_same, "cat", f"/proc/{other.pid}/environ"], capture_output=True, timeout=10,
                              check=False)
        assert done.returncode != 0 and done.stdout == b""
        limits = pathlib.Path(f"/proc/{other.pid}/limits").read_text()
        assert next(line for line in limits.splitlines() if line.startswith("Max core file size")).split()[4:6] == \
            ["0", "0"]
        shown = pathlib.Path(f"/proc/{other.pid}/environ").read_text().rstrip("\0").split("\0")
        stars = "*" * len(SECRET)
        assert shown == [f"COGNIGY_CLIENT_SECRET={stars}",
                         f"HANDOFFD_KAFKA_PROPERTIES=linger.ms=7,sasl.password=***{stars}"]
        other.send_signal(signal.SIGHUP)  # which reads it again
        wait_until(lambda: "read the settings again" in log.read_text(), 10, "it to read the settings again")
    finally:
        other.kill()
        other.wait()


def test_the_tool_leaves_no_core(folder, sandbox):
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))  # what it is given
    try:
        tool = Process("handoffctl", [binary("handoffctl"), "follow", "-b", sandbox.bootstrap, "--timeout", "20"], folder)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)

    def has_none():
        limits = pathlib.Path(f"/proc/{tool.pid}/limits").read_text()
        return next(line for line in limits.splitlines() if line.startswith("Max core file size")).split()[4:6] == ["0", "0"]
    wait_until(has_none, 10, "it to have no core")
