"""handoffd --check: each of its lines against a counterpart that is broken in just that way."""
import re
import socket
import subprocess
import time

import pytest

from conftest import start_kafka, stop_kafka
from lib import (PROJECT, Topics, Worker, binary, config_text, create_topics, end_offsets, group_offsets, keyed, produce,
                 read_all)
from lib.acl import grant
from lib.listener import Listener
from lib.tls import Authority, Front
from lib.worker import merged

LINE = re.compile(r"(ok|warn|FAIL) +(.+?): (.+)")
PASSWORD = "handoff-secret"
SILENT_S = 45


def settings_of(bootstrap, names, base_url, **changes):
    return merged({"kafka": {"brokers": bootstrap, "group": names.group, "instance": "one", "requests": [names.requests],
                             "retry": names.retry, "outcomes": names.outcomes, "dead_letters": names.dead_letters},
                   "cognigy": {"base_url": base_url, "client_id": "sandbox", "client_secret": "sandbox-secret"}}, changes)


def check(folder, settings):
    """(exit code, {subject: (mark, sentence)}) of what it prints."""
    path = folder / "check.conf"
    path.write_text(config_text(settings))
    done = subprocess.run([binary("handoffd"), "-c", path, "--check"], capture_output=True, text=True, timeout=100,
                          check=False)
    assert done.stderr == ""
    lines = [LINE.fullmatch(line) for line in done.stdout.splitlines()]
    assert all(lines), done.stdout
    found = {line[2]: (line[1], line[3]) for line in lines}
    assert len(found) == len(lines), f"a line comes twice:\n{done.stdout}"
    for secret in ("sandbox-secret", PASSWORD, "wrong-secret"):
        assert secret not in done.stdout
    assert done.returncode == int(any(mark == "FAIL" for mark, _ in found.values()))
    return done.returncode, found


def marks(found):
    """The lines that are not ok: subject -> mark"""
    return {subject: mark for subject, (mark, _) in found.items() if mark != "ok"}


@pytest.fixture(name="names")
def topic_names():
    return Topics.unique(2)


# --- topics, on Apache Kafka ------------------------------------------------------------------------------------------

def test_all_is_well_and_a_worker_that_runs_is_not_disturbed(folder, apache, simulator, names):
    create_topics(apache.bootstrap, {name: 2 for name in names.all()})
    w = Worker(folder, apache, names, simulator,
               kafka={"delivery": "exactly-once", "instance": "one"}).wait_ready()
    produce(apache.bootstrap, names.requests, [keyed(0)])  # so that it has a transaction behind it
    read_all(apache.bootstrap, names.outcomes, 1)
    w.wait_idle()
    before = {topic: end_offsets(apache.bootstrap, topic) for topic in names.all()}
    committed = group_offsets(apache.bootstrap, names.group, names.requests, 2)
    rebalances = w.metric("handoffd_rebalances_total")
    code, found = check(folder, w.settings)
    assert code == 0 and marks(found) == {}
    assert set(found) == {
        f"broker {apache.bootstrap}", "partitions", "login", "scopes", "fetch", "clock", *rights_of(names),
        *(f"{what} {topic}" for topic in names.all()
          for what in ("topic", "cleanup.policy", "retention.ms", "max.message.bytes"))}
    assert {topic: end_offsets(apache.bootstrap, topic) for topic in names.all()} == before
    assert group_offsets(apache.bootstrap, names.group, names.requests, 2) == committed
    assert w.metric("handoffd_rebalances_total") == rebalances and w.get("/readyz")[0] == 200
    produce(apache.bootstrap, names.requests, [keyed(1)])  # its next transaction: nobody took its name away
    assert [o.json()["reason"] for o in read_all(apache.bootstrap, names.outcomes, 2)] == ["ok", "ok"]
    w.wait_idle()
    assert [line["message"] for line in w.log() if line["level"] in ("warn", "error")] == []
    w.stop_clean()


def test_missing_topic_and_unequal_counts(folder, apache, simulator, names):
    create_topics(apache.bootstrap, {names.requests: 3, names.retry: 2, names.dead_letters: 1})
    settings = settings_of(apache.bootstrap, names, simulator.base_url)
    _, found = check(folder, settings)
    assert marks(found) == {f"topic {names.outcomes}": "FAIL", "partitions": "FAIL"}
    assert "scripts/create-topics" in found[f"topic {names.outcomes}"][1]
    assert found["partitions"][1] == (f"{names.requests} has 3 and {names.retry} has 2, but a retry keeps its request's "
                                      "number: grow the smaller one")
    create_topics(apache.bootstrap, {names.outcomes: 1})
    _, found = check(folder, settings)
    assert marks(found) == {"partitions": "FAIL"}


def test_topic_that_the_worker_will_create(folder, apache, simulator, names):
    create_topics(apache.bootstrap, {names.requests: 1, names.retry: 1, names.outcomes: 1})
    code, found = check(folder, settings_of(apache.bootstrap, names, simulator.base_url, kafka={"create_topics": True}))
    assert code == 0 and marks(found) == {f"topic {names.dead_letters}": "warn"}


MISFITS = [
    ("retry", {"cleanup.policy": "compact"}, "cleanup.policy", "FAIL", "set it to delete"),
    ("outcomes", {"cleanup.policy": "compact,delete"}, "cleanup.policy", "warn", "set it to delete"),
    ("requests", {"retention.ms": "60000"}, "retention.ms", "FAIL", "set it to 1800000 or more"),
    ("retry", {"retention.ms": "899999"}, "retention.ms", "FAIL", "set it to 1800000 or more"),
    ("retry", {"retention.ms": "900000"}, "retention.ms", "warn", "set it to 1800000 or more"),
    ("dead_letters", {"retention.ms": "60000"}, "retention.ms", "warn", "set it to 1800000 or more"),
    ("requests", {"max.message.bytes": "524287"}, "max.message.bytes", "warn", "raise the one or lower the other"),
    ("retry", {"max.message.bytes": "589823"}, "max.message.bytes", "FAIL", "is below 589824"),
    ("outcomes", {"max.message.bytes": "10000"}, "max.message.bytes", "FAIL", "is below 65536"),
    ("dead_letters", {"max.message.bytes": "10000"}, "max.message.bytes", "warn", "is below 589824"),
]


@pytest.mark.parametrize("which, config, line, mark, advice", MISFITS,
                         ids=[f"{which} {key}={value}" for which, config, *_ in MISFITS for key, value in config.items()])
def test_topic_that_does_not_fit(folder, apache, simulator, names, which, config, line, mark, advice):
    topic = getattr(names, which)
    create_topics(apache.bootstrap, {name: 2 for name in names.all() if name != topic})
    create_topics(apache.bootstrap, {topic: 2}, **config)
    _, found = check(folder, settings_of(apache.bootstrap, names, simulator.base_url))
    assert marks(found) == {f"{line} {topic}": mark}
    assert advice in found[f"{line} {topic}"][1]


def test_short_requests_need_no_large_retries(folder, apache, simulator, names):
    """A request topic that takes 100,000 bytes at most cannot bring more into the retry topic."""
    create_topics(apache.bootstrap, {names.requests: 2, names.retry: 2}, **{"max.message.bytes": "200000"})
    create_topics(apache.bootstrap, {names.outcomes: 2, names.dead_letters: 2})
    settings = settings_of(apache.bootstrap, names, simulator.base_url)
    assert marks(check(folder, settings)[1]) == {f"max.message.bytes {names.requests}": "warn",
                                                 f"max.message.bytes {names.retry}": "FAIL"}
    settings["worker"] = {"max_record_bytes": 100000}
    assert marks(check(folder, settings)[1]) == {}


# --- brokers that are not there -----------------------------------------------------------------------------------------

def test_no_broker_answers(folder, simulator, names):
    """One refuses, one takes the connection and says nothing, one has no name: each is named, within its time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        begun = time.monotonic()
        code, found = check(folder, settings_of(f"127.0.0.1:1,{address},nowhere.invalid:9092", names, simulator.base_url))
        took = time.monotonic() - begun
    assert code == 1 and took < SILENT_S
    assert marks(found) == {"broker 127.0.0.1:1": "FAIL", f"broker {address}": "FAIL", "topics": "FAIL",
                            "broker nowhere.invalid:9092": "FAIL"}
    assert "Connection refused" in found["broker 127.0.0.1:1"][1]
    assert found["broker nowhere.invalid:9092"][1].endswith("check the name")


@pytest.mark.sandbox(partitions=2)
def test_one_of_two_brokers_is_not_there_and_a_sandbox_cannot_tell_all(folder, sandbox):
    code, found = check(folder, settings_of(f"127.0.0.1:1,{sandbox.bootstrap}", Topics(), sandbox.base_url))
    assert code == 0 and marks(found) == {"broker 127.0.0.1:1": "warn", "ACLs": "warn"}
    assert found["topic handoff.requests"] == ("ok", "2 partitions")
    assert sum(end_offsets(sandbox.bootstrap, "handoff.outcomes").values()) == 0


# --- Cognigy ----------------------------------------------------------------------------------------------------------

def check_tenant(folder, sandbox, **cognigy):
    """The lines that are not ok and are not about Kafka."""
    found = check(folder, settings_of(sandbox.bootstrap, Topics(), sandbox.base_url, cognigy=cognigy))[1]
    assert found["partitions"][0] == "ok"
    return {subject: found[subject] for subject in marks(found) if subject != "ACLs"}, found


def test_wrong_secret(folder, sandbox):
    wrong, _ = check_tenant(folder, sandbox, client_secret="wrong-secret")
    assert wrong == {"login": ("FAIL", "login was refused with HTTP status 401: check client_id and client_secret")}


def test_missing_scope(folder, sandbox):
    sandbox.script("token scope='flow:execute other'")
    wrong, found = check_tenant(folder, sandbox)
    assert wrong == {"scopes": ("FAIL", "not granted: session:write telephony:transfer; let the tenant grant them to "
                                        "client_id sandbox")}
    assert found["login"][0] == "ok"


@pytest.mark.parametrize("skew, mark, words", [("5m", "FAIL", "300 s behind the"), ("-5m", "FAIL", "300 s ahead of the"),
                                               ("10s", "warn", "10 s behind the")])
def test_clocks_differ(folder, sandbox, skew, mark, words):
    sandbox.script(f"clock skew={skew}")
    wrong, _ = check_tenant(folder, sandbox)
    assert list(wrong) == ["clock"] and wrong["clock"][0] == mark
    # The header has whole seconds.
    found = re.search(r"(\d+) s (behind|ahead of) the", wrong["clock"][1])
    assert abs(int(found[1]) - int(words.split()[0])) <= 1 and found[2] in words and "NTP" in wrong["clock"][1]


def tenant(name, origin, **changes):
    """Of the profile cognigy-ai, with an API key."""
    return {"name": name, "profile": "cognigy-ai", "base_url": origin, "endpoint_url": origin, "client_id": "", **changes}


def check_tenants(folder, sandbox, *tenants):
    """The lines that are about a tenant."""
    settings = settings_of(sandbox.bootstrap, Topics(), sandbox.base_url)
    names = {each["name"] for each in tenants}
    return {subject: said for subject, said in check(folder, {**settings, "tenants": list(tenants)})[1].items()
            if subject.split()[-1] in names}


def readme_says():
    """The lines of --check in the README: sentence -> mark"""
    text = (PROJECT / "README.md").read_text()
    return {found[3]: found[1] for found in map(LINE.fullmatch, text.splitlines()) if found}


def test_credentials_are_tried_with_a_call_that_changes_nothing(folder, sandbox):
    """Each kind of them, right and wrong, by reading a session that there is not."""
    origin = sandbox.base_url.removesuffix("/api/v1")
    oauth2 = {"client_id": "sandbox", "token_url": origin + "/oauth2/token"}
    sandbox.script("sessions listed")
    found = check_tenants(
        folder, sandbox, {"name": "seed"}, tenant("key", origin + "/new"), tenant("bearer", origin, auth="bearer"),
        tenant("oauth2", origin, auth="oauth2", **oauth2), tenant("basic", origin, auth="oauth2-basic", **oauth2),
        tenant("bad-key", origin, client_secret="wrong-secret"),
        tenant("bad-bearer", origin, auth="bearer", client_secret="wrong-secret"),
        tenant("bad-oauth2", origin, auth="oauth2", client_secret="wrong-secret", **oauth2),
        tenant("deprecated", origin, endpoint_url="", flow_path="/v2.0/endpoint/inject"))
    taken = "is taken: HTTP status 404 for a session that there is not, and 401 without it"
    refused = "was refused with HTTP status 401: check client_secret (or what its file holds) and base_url"
    assert {subject: said for subject, said in found.items() if subject.startswith(("fetch", "flow_path"))} == {
        **{f"fetch {name}": ("ok", f"the {what} {taken}") for name, what in
           [("seed", "token"), ("key", "API key"), ("bearer", "bearer token"), ("oauth2", "token"), ("basic", "token"),
            ("deprecated", "API key")]},
        "fetch bad-key": ("FAIL", f"the API key {refused}"), "fetch bad-bearer": ("FAIL", f"the bearer token {refused}"),
        "flow_path deprecated": ("warn", "the vendor has announced to remove /v2.0/endpoint/inject: give endpoint_url, and "
                                         "leave flow_path out")}
    assert marks(found) == {"fetch bad-key": "FAIL", "fetch bad-bearer": "FAIL", "login bad-oauth2": "FAIL",
                            "flow_path deprecated": "warn"}
    assert {subject for subject in found if subject.startswith("login")} == \
        {"login seed", "login oauth2", "login basic", "login bad-oauth2"}
    assert {f"clock {name}" for name in ("seed", "key", "bad-key")} <= set(found)
    assert found["endpoint key"][1].startswith("answers (HTTP status 404)") and "endpoint deprecated" not in found
    said = {sentence: mark for mark, sentence in found.values()}
    assert set(readme_says().values()) == {"ok", "FAIL"}
    for sentence, mark in readme_says().items():
        assert said[sentence.replace("HTTP status 200", "HTTP status 404")] == mark
    steps = sandbox.book()["steps"]
    assert steps["fetch"]["sent"] == 14 and steps["update"]["sent"] == steps["trigger"]["sent"] == 0


class Odd(Listener):
    """Says to each path what its first segment names: `404`, `404-401` (the second to whoever has no key), `mute`."""

    def __init__(self):
        self.heard = []
        super().__init__()

    def serve(self, client):
        with client, client.makefile("rb") as lines:
            method, path, _ = lines.readline().decode().split()
            names = [line.split(b":")[0].lower() for line in iter(lines.readline, b"\r\n")]
            self.heard.append((method, path, b"x-api-key" in names))
            first, _, other = path.split("/")[1].partition("-")
            status = other if other and b"x-api-key" not in names else first
            if status == "mute":
                client.recv(1)
            elif status != "gone":
                body = b"{}" if status == "200" else b"<html>"
                client.sendall(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


ODD = {  # what the API says -> the line
    "403": ("FAIL", "the API key may not read sessions (HTTP status 403): let the tenant give it the right to"),
    "200-403": ("ok", "the API key is taken: HTTP status 200 for a session that there is not, and 403 without it"),
    "404-302": ("ok", "the API key is taken: HTTP status 404 for a session that there is not, and 302 without it"),
    "404": ("warn", "HTTP status 404 with the API key and 404 without it, so it is not known whether it is looked at: check "
                    "base_url and session_path, and watch the first handoff's outcome"),
    "404-429": ("warn", "HTTP status 404 with the API key and 429 without it, so it is not known whether it is looked at: "
                        "check base_url and session_path, and watch the first handoff's outcome"),
    "404-gone": ("warn", "HTTP status 404 with the API key, and without it none ({}), so it is not known whether it is "
                         "looked at: ask again"),
    "400": ("warn", "HTTP status 400 for a session that there is not: check base_url, session_path and profile"),
    "301": ("warn", "HTTP status 301 for a session that there is not: check base_url, session_path and profile"),
    "201": ("warn", "HTTP status 201, but what came cannot be read as a session: check base_url, session_path and profile"),
    "429": ("warn", "HTTP status 429, the tenant's limit is used up: wait, and lower limits.requests_per_second"),
    "503": ("warn", "HTTP status 503, an error of the tenant's own: ask again"),
    "mute": ("FAIL", "{}: check base_url, the network between, ca_file where the authority is a private one, and "
                     "client_cert where a certificate is asked for"),
    "gone": ("FAIL", "{}: check base_url, the network between, ca_file where the authority is a private one, and "
                     "client_cert where a certificate is asked for"),
}


def test_apis_that_say_something_else(folder, sandbox):
    """No status is taken for what it is not, and one that says nothing ends the check no later than its time."""
    odd = Odd()
    origin = f"http://127.0.0.1:{odd.port}"
    begun = time.monotonic()
    found = check_tenants(folder, sandbox, *[
        tenant(name, f"{origin}/{name}", endpoint_url="http://127.0.0.1:1", fetch_timeout_ms=500) for name in ODD])
    assert time.monotonic() - begun < 20
    odd.close()
    for name, (mark, words) in ODD.items():
        said = found[f"fetch {name}"]
        assert said[0] == mark and re.fullmatch(re.escape(words).replace(r"\{\}", ".+"), said[1]), said
        assert found[f"endpoint {name}"][0] == "FAIL" and "endpoint_url" in found[f"endpoint {name}"][1]
    assert {method for method, _, _ in odd.heard} == {"GET"}
    assert {path.split("/", 2)[2] for _, path, _ in odd.heard} == {"v2.0/conversations/handoffd-check"}
    assert sorted(path.split("/")[1] for _, path, keyed_ in odd.heard if not keyed_) == \
        sorted(name for name in ODD if name.startswith(("404", "200")))


def test_untrusted_certificate(folder, sandbox):
    ours = Authority(folder)
    front = Front(int(sandbox.base_url.split("/")[2].split(":")[1]), *ours.issue("server"))
    base_url = f"https://127.0.0.1:{front.port}/api/v1"
    wrong, _ = check_tenant(folder, sandbox, base_url=base_url)
    assert list(wrong) == ["login"] and "certificate" in wrong["login"][1] and "ca_file" in wrong["login"][1]
    assert check_tenant(folder, sandbox, base_url=base_url, ca_file=str(ours.certificate))[0] == {}
    front.close()


def test_certificate_that_is_asked_for(folder, sandbox):
    ours = Authority(folder)
    front = Front(int(sandbox.base_url.split("/")[2].split(":")[1]), *ours.issue("server"), client_authority=ours.certificate)
    told = {"base_url": f"https://127.0.0.1:{front.port}/api/v1", "ca_file": str(ours.certificate)}
    wrong, _ = check_tenant(folder, sandbox, **told)
    assert list(wrong) == ["login"] and wrong["login"][1].endswith("and client_cert where a certificate is asked for")
    certificate, key = map(str, ours.issue("worker"))
    assert check_tenant(folder, sandbox, **told, client_cert=certificate, client_key=key)[0] == {}
    front.close()


def test_each_tenant_has_its_lines_and_a_silent_one_its_time(folder, sandbox):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = settings_of(sandbox.bootstrap, Topics(), sandbox.base_url, cognigy={"login_timeout_ms": 1500})
        settings["tenants"] = [{"name": "good"}, {"name": "mute", "base_url": f"http://127.0.0.1:{silent.getsockname()[1]}"},
                               {"name": "gone", "base_url": "http://127.0.0.1:1"}]
        code, found = check(folder, settings)
    assert code == 1 and marks(found) == {"ACLs": "warn", "login mute": "FAIL", "login gone": "FAIL"}
    assert {"login good", "scopes good", "clock good"} <= set(found)
    assert "base_url" in found["login mute"][1] and "base_url" in found["login gone"][1]


# --- security of the brokers ------------------------------------------------------------------------------------------

@pytest.fixture(scope="module", name="secured")
def broker_with_an_authorizer(tmp_path_factory):
    """On its SASL listener the user `handoff` may do what it was granted, on the other one everybody everything."""
    directory = tmp_path_factory.mktemp("secured") / "kafka"
    try:
        yield start_kafka(directory, secured=["--sasl"], settings=[
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users=User:ANONYMOUS"])
    finally:
        stop_kafka(directory)


def secured_settings(secured, names, base_url, **properties):
    told = {"security.protocol": "SASL_SSL", "ssl.ca.location": secured["ssl.ca.location"], "sasl.mechanism": "PLAIN",
            "sasl.username": "handoff", "sasl.password": PASSWORD,
            **{name.replace("_", "."): value for name, value in properties.items()}}
    return settings_of(secured["sasl.bootstrap.servers"], names, base_url, kafka={
        "properties": [f"{name}={value}" for name, value in told.items() if value]})


def rights_of(names):
    """line that fails without it -> the right"""
    return {
        f"ACL READ group {names.group}": ("group", names.group, "READ"),
        f"ACL WRITE transactional-id {names.group}-one-check": ("transactional-id", f"{names.group}-*", "WRITE"),
        f"ACL READ topic {names.requests}": ("topic", names.requests, "READ"),
        f"ACL READ topic {names.retry}": ("topic", names.retry, "READ"),
        f"ACL WRITE topic {names.retry}": ("topic", names.retry, "WRITE"),
        f"ACL WRITE topic {names.outcomes}": ("topic", names.outcomes, "WRITE"),
        f"ACL WRITE topic {names.dead_letters}": ("topic", names.dead_letters, "WRITE"),
    }


MISSING = [None, "group", "transactional id", "requests", "retry: read", "retry: write", "outcomes", "dead letters"]


@pytest.mark.parametrize("missing", range(len(MISSING)), ids=map(str, MISSING))
def test_rights(folder, secured, simulator, names, missing):
    plain = secured["bootstrap.servers"]
    create_topics(plain, {name: 2 for name in names.all()})
    lines, rights = zip(*rights_of(names).items())
    shown = [("topic", name, operation) for name in names.all() for operation in ("DESCRIBE", "DESCRIBE_CONFIGS")]
    grant(plain, "handoff", shown + [right for number, right in enumerate(rights, 1) if number != missing])
    _, found = check(folder, secured_settings(secured, names, simulator.base_url))
    wrong = marks(found)
    if MISSING[missing] == "group":  # without it, the brokers do not say which topics may be read
        assert {line for line, mark in wrong.items() if mark == "warn"} == {lines[2], lines[3]}
        wrong = {lines[0]: wrong[lines[0]]}
    assert wrong == ({lines[missing - 1]: "FAIL"} if missing else {})
    if missing:
        assert "give the user" in found[lines[missing - 1]][1]


def test_nothing_is_granted(folder, secured, simulator, names):
    create_topics(secured["bootstrap.servers"], {name: 2 for name in names.all()})
    _, found = check(folder, secured_settings(secured, names, simulator.base_url))
    assert marks(found) == {**{f"topic {name}": "FAIL" for name in names.all()}, "ACLs": "warn"}
    assert "not authorized" in found[f"topic {names.retry}"][1]


def test_configurations_are_not_shown(folder, secured, simulator, names):
    plain = secured["bootstrap.servers"]
    create_topics(plain, {name: 2 for name in names.all()})
    grant(plain, "handoff", list(rights_of(names).values()))
    code, found = check(folder, secured_settings(secured, names, simulator.base_url))
    assert code == 0 and marks(found) == {f"configuration of {name}": "warn" for name in names.all()}


@pytest.mark.parametrize("properties, words", [
    ({"sasl_password": "wrong-secret"}, ["Invalid username or password", "check sasl.mechanism, sasl.username"]),
    ({"ssl_ca_location": None}, ["certificate verify failed", "check ssl.ca.location"]),
    ({"security_protocol": "PLAINTEXT"}, ["check the address, the network between, and security.protocol"]),
], ids=["wrong password", "untrusted certificate", "no TLS"])
def test_broker_that_lets_nobody_in(folder, secured, simulator, names, properties, words):
    _, found = check(folder, secured_settings(secured, names, simulator.base_url, **properties))
    line = f"broker {secured['sasl.bootstrap.servers']}"
    assert marks(found) == {line: "FAIL", "topics": "FAIL"}
    assert all(word in found[line][1] for word in words), found[line][1]
