"""The pages of the admin server: what they say, and that the page at / is whole and asks nobody else for anything."""
import html.parser
import json
import re
import urllib.request

import pytest

from lib import PROJECT, Kafka, Topics, Worker, keyed, produce, schema, wait_until

METRICS = {
    "handoffd_requests_total": "counter", "handoffd_outcomes_total": "counter", "handoffd_handoff_seconds": "histogram",
    "handoffd_in_flight": "gauge", "handoffd_waiting": "gauge", "handoffd_parked": "gauge",
    "handoffd_upstream_requests_total": "counter", "handoffd_upstream_seconds": "histogram",
    "handoffd_retries_total": "counter", "handoffd_retry_after_seconds": "histogram",
    "handoffd_retry_lateness_seconds": "histogram", "handoffd_spills_total": "counter",
    "handoffd_token_logins_total": "counter", "handoffd_breaker_state": "gauge", "handoffd_gate_closed": "gauge",
    "handoffd_rate_limit_share": "gauge", "handoffd_unknown_session_status_total": "counter",
    "handoffd_oldest_incomplete_seconds": "gauge", "handoffd_consumer_lag": "gauge",
    "handoffd_records_lost_total": "counter", "handoffd_rebalances_total": "counter",
    "handoffd_transactions_total": "counter", "handoffd_build_info": "gauge",
}
# The lag's labels are partitions: there is none before the group gives one.
WITHOUT_A_SAMPLE = {"handoffd_consumer_lag"}
VOID = {"meta", "link", "br", "path"}


@pytest.fixture(name="sandbox_topics")
def own_topics(sandbox):
    """The embedded broker and its topics, whatever kind of broker other tests run on."""
    return Kafka(sandbox.bootstrap, "sandbox"), Topics()


@pytest.fixture(name="sandbox_worker")
def ready_worker(folder, sandbox, sandbox_topics):
    return Worker(folder, *sandbox_topics, sandbox).wait_ready()


class Page(html.parser.HTMLParser):
    """Fails on a tag that is closed in the wrong place, and on an id that comes twice; keeps ids and references."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.references, self.headings, self.urls = [], set(), set(), [], []
        self.feed(text)
        self.close()
        assert self.open == [], "never closed"

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        for name, value in attrs:
            if name == "id":
                assert value not in self.ids, f"the id {value} comes twice"
                self.ids.add(value)
            elif name in ("aria-labelledby", "for", "aria-describedby"):
                self.references |= set(value.split())
            elif name in ("href", "src", "action", "poster", "srcset"):
                self.urls.append(value)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> at {self.getpos()} closes something else"


def test_page_is_whole_and_self_contained():
    text = (PROJECT / "src/worker/page.html").read_text()
    page = Page(text)
    assert page.references <= page.ids, "labels refer to what is there"
    assert page.headings[0] == 1 and set(page.headings[1:]) == {2}
    assert all(url == "data:," or re.fullmatch("(/[a-z]*|#[a-z]+)", url) for url in page.urls), page.urls
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", text), "nothing comes from elsewhere"
    for wanted in ('lang="en"', 'name="viewport"', "prefers-color-scheme: dark", "prefers-reduced-motion",
                   "forced-colors", ":focus-visible", 'aria-live="polite"', "<noscript>", 'class="skip"'):
        assert wanted in text


def test_page_is_served_as_it_is(sandbox_worker):
    with urllib.request.urlopen(f"http://127.0.0.1:{sandbox_worker.admin_port}/", timeout=5) as reply:
        assert reply.read() == (PROJECT / "src/worker/page.html").read_bytes()
        assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
        assert reply.headers["Cache-Control"] == "no-store"


def test_every_metric_is_there_from_the_start(sandbox_worker):
    text = sandbox_worker.metrics_text()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    assert kinds.items() >= METRICS.items()
    assert set(re.findall(r"^# HELP (\S+) \S", text, re.M)) == set(kinds)
    sampled = {re.sub("_(bucket|sum|count)$", "", name) if kinds.get(name) is None else name
               for name, _ in sandbox_worker.metrics()}
    assert METRICS.keys() - sampled <= WITHOUT_A_SAMPLE


def test_status_is_as_its_schema_says(folder, sandbox, sandbox_topics):
    """At once after the start, under load, and at the end; also when nothing is ready."""
    sandbox.script("lock every=5 for=3s", "latency 50ms", "on update reply 500 every=7")
    kafka, names = sandbox_topics
    w = Worker(folder, kafka, names, sandbox, limits={"max_in_flight": 4})
    wait_until(lambda: w.get("/healthz")[0] == 200, 20, "the server")
    schema.check("status", w.status())
    w.wait_ready()
    produce(kafka.bootstrap, names.requests, [keyed(n) for n in range(60)])

    def seen():
        status = w.status()
        schema.check("status", status)
        return status["work"]["waits"]["slots"] and status["work"]["inFlight"] and status["work"]["oldest"]
    wait_until(seen, 20, "work to be under way")
    parked = wait_until(lambda: w.status()["retries"]["reasons"], 20, "a retry")
    assert parked[0]["reason"] in ("session.locked", "upstream.server_error")
    status = wait_until(lambda: sum(o["count"] for o in w.status()["outcomes"]) == 60 and w.status(), 60, "the end")
    schema.check("status", status)
    assert status["work"]["inFlight"] == status["work"]["waiting"] == status["work"]["parked"] == 0
    assert {p["topic"] for p in status["partitions"]} == {names.requests, names.retry}


def test_only_get_and_only_what_is_there(sandbox_worker):
    code, body = sandbox_worker.get("/no-such-page")
    assert code == 404 and "/status" in body
    code, body = sandbox_worker.get("/readyz")
    assert (code, json.loads(body)) == (200, {"ready": True, "reasons": []})
