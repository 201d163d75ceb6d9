"""Peers that are not what they should be: no TLS, the wrong certificate, headers and bodies without an end. The worker
says what is wrong, stays small, and nothing of it costs a handoff its budget that was never tried."""
import itertools
import os
import pathlib

import pytest

from lib import Kafka, Topics, Worker, keyed, produce, read_all, wait_until
from lib.listener import Listener
from lib.tls import Authority, Front

LIMIT_KB = 120 * 1024
# What AddressSanitizer keeps of freed memory is not the worker's.
FORGETFUL = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8"}


@pytest.fixture(name="names")
def topic_names():
    return Topics()


def start(folder, sandbox, names, base_url, **cognigy):
    return Worker(folder, Kafka(sandbox.bootstrap, "sandbox"), names, sandbox, env=FORGETFUL,
                  cognigy={"base_url": base_url, **cognigy}, retry={"base_delay_ms": 50}, limits={"breaker_open_ms": 200})


def port_of(sandbox):
    return int(sandbox.base_url.split("/")[2].split(":")[1])


def expect_no_login(worker, sandbox, names, *words):
    """It says why, goes on trying, and the request waits unharmed."""
    produce(sandbox.bootstrap, names.requests, [keyed(1)])
    wait_until(lambda: any(all(word in line["message"] for word in words) for line in worker.log()
                           if line["message"].startswith("login failed: ")), 30, f"the login to fail with {words}")
    wait_until(lambda: worker.metric("handoffd_token_logins_total", result="dependency_down") >= 2, 20, "another try")
    code, body = worker.get("/readyz")
    assert code == 503 and "login failed" in body
    assert worker.metric("handoffd_outcomes_total") == 0 and worker.exit_code is None


def test_plain_server_behind_an_https_url(folder, sandbox, names):
    w = start(folder, sandbox, names, f"https://127.0.0.1:{port_of(sandbox)}/api/v1")
    expect_no_login(w, sandbox, names, "SSL")


@pytest.mark.parametrize("case,words", [("expired", ["certificate has expired"]), ("unknown", ["certificate"]),
                                        ("wrong host", ["no alternative certificate subject name matches"])])
def test_wrong_certificates(folder, sandbox, names, case, words):
    ours = Authority(folder)
    certificate = ours.issue("server", "DNS:cognigy.example" if case == "wrong host" else "IP:127.0.0.1",
                             expired=case == "expired")
    front = Front(port_of(sandbox), *certificate)
    trust = {} if case == "unknown" else {"ca_file": str(ours.certificate)}
    w = start(folder, sandbox, names, f"https://127.0.0.1:{front.port}/api/v1", **trust)
    expect_no_login(w, sandbox, names, *words)
    front.close()


def test_mutual_tls(folder, sandbox, names):
    """Both show a certificate; without the client's, nobody is let in."""
    ours = Authority(folder)
    front = Front(port_of(sandbox), *ours.issue("server"), client_authority=ours.certificate)
    url = f"https://127.0.0.1:{front.port}/api/v1"
    refused = start(folder, sandbox, names, url, ca_file=str(ours.certificate))
    expect_no_login(refused, sandbox, names)
    refused.kill()
    certificate, key = ours.issue("worker-7")
    start(folder, sandbox, names, url, ca_file=str(ours.certificate), client_cert=str(certificate), client_key=str(key))
    outcome, = read_all(sandbox.bootstrap, names.outcomes, 1)
    assert outcome.json()["status"] == "completed"
    assert set(front.names) == {"worker-7"}
    front.close()


class Endless(Listener):
    """A Cognigy that logs everybody in, and answers each fetch with what `pieces` gives, for ever."""

    LOGIN = b'HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\n{"access_token":"t","expires_in":3600}'

    def __init__(self, head, pieces):
        self.head, self.pieces, self.sent = head, pieces, 0
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}/api/v1"

    def serve(self, client):
        try:
            while request := client.recv(65536):
                if request.startswith(b"POST /api/v1/auth/login"):
                    client.sendall(self.LOGIN)
                elif request.startswith(b"GET "):
                    client.sendall(self.head)
                    for piece in self.pieces():
                        client.sendall(piece)
                        self.sent += len(piece)
        except OSError:
            pass  # the worker has hung up, as it should


@pytest.mark.parametrize("head,pieces", [
    pytest.param(b"HTTP/1.1 200 OK\r\n", lambda: (b"X-%d: %s\r\n" % (n, b"a" * 2000) for n in itertools.count()),
                 id="headers"),
    pytest.param(b'HTTP/1.1 200 OK\r\n\r\n{"sessionId":"s1","channel":"voice","status":"active","variables":{"k":0',
                 lambda: (b"".join(b',"k%d":0' % (1000 * n + i) for i in range(1000)) for n in range(1000000)), id="keys"),
    pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", lambda: (b"[" * 4096 for _ in itertools.count()), id="depth"),
])
def test_replies_without_an_end(folder, sandbox, names, head, pieces):
    peer = Endless(head, pieces)
    w = start(folder, sandbox, names, peer.url).wait_ready()
    produce(sandbox.bootstrap, names.requests, [keyed(n) for n in range(20)])
    outcomes = read_all(sandbox.bootstrap, names.outcomes, 20, timeout=90)
    assert {o.json()["status"] for o in outcomes} == {"failed"}
    assert {o.json()["reason"] for o in outcomes} <= {"upstream.bad_response", "upstream.timeout",
                                                      "upstream.server_error"}
    status = pathlib.Path(f"/proc/{w.pid}/status").read_text()
    peak = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
    assert peak < LIMIT_KB, f"{peak} KB at most, after {peer.sent} bytes were sent to it"
    assert w.get("/healthz")[0] == 200
    peer.listener.close()
