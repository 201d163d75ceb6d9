"""The page at / in a real browser: on a phone and on a desk, dark and light, by keyboard, and while things go wrong.

The pictures are kept in build/reports/page, for whoever wants to look at them himself."""
import json

import pytest

from lib import PROJECT, Kafka, Topics, Worker, keyed, produce, wait_until
from lib.browser import DESKTOP, PHONE, Browser, is_installed
from lib.png import brightness, count_near, pixels

pytestmark = [pytest.mark.long, pytest.mark.limit(180),
              pytest.mark.skipif(not is_installed(), reason="chromium and chromium-driver are not installed")]
PICTURES = PROJECT / "build" / "reports" / "page"
GREEN = {"dark": (0x3f, 0xae, 0x79), "light": (0x2e, 0x9e, 0x66)}  # --good-fill: the bars of what has ended

# Everything with text of its own, what is hidden from the eye left out: text, colour, background, size.
SEEN_TEXT = """
const seen = [];
for (const node of document.querySelectorAll('body *')) {
	if (node.closest('script, style, svg, .hidden-text, .skip, .cards thead') || !node.checkVisibility()) continue;
	const own = [...node.childNodes].filter(n => n.nodeType === 3).map(n => n.textContent.trim()).join('');
	if (!own) continue;
	let back = node, colour = 'rgba(0, 0, 0, 0)';
	for (; back && colour === 'rgba(0, 0, 0, 0)'; back = back.parentElement) colour = getComputedStyle(back).backgroundColor;
	const style = getComputedStyle(node);
	seen.push([own, style.color, colour, parseFloat(style.fontSize), +style.fontWeight]);
}
return seen;
"""


@pytest.fixture(name="names")
def topic_names():
    return Topics()


@pytest.fixture(name="started")
def started_worker(folder, sandbox, names):
    return Worker(folder, Kafka(sandbox.bootstrap, "sandbox"), names, sandbox, name="handoffd-0",
                  kafka={"instance": "handoffd-0"}, limits={"max_in_flight": 8, "breaker_open_ms": 60000}).wait_ready()


@pytest.fixture(name="browser")
def open_browser(folder, started):
    browser = Browser(folder)
    browser.form(DESKTOP, "light")
    browser.open(f"http://127.0.0.1:{started.admin_port}/")
    wait_until(lambda: browser.text("#verdict") == "Ready", 10, "the page to know the worker")
    yield browser
    browser.close()


def luminance(colour):
    values = [int(v) / 255 for v in colour[colour.index("(") + 1:-1].split(",")[:3]]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def keep_busy(sandbox, names):
    """Calls in flight, a queue, locked sessions and ended handoffs, for half a minute."""
    sandbox.script("latency 120ms jitter=100ms", "lock every=4 for=60s", "on trigger reply 404 every=9")
    produce(sandbox.bootstrap, names.requests, [keyed(n) for n in range(400)])


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_each_form(browser, sandbox, names, size, scheme):
    PICTURES.mkdir(parents=True, exist_ok=True)
    browser.form(size, scheme)
    keep_busy(sandbox, names)
    wait_until(lambda: "Session locked" in browser.text("#why") and "completed" in browser.text("#outcomes") and
               browser.run("return document.querySelector('#flow .ended').getAttribute('d').length > 20"), 30, "figures")

    width, scroll = browser.run("return [innerWidth, document.documentElement.scrollWidth]")
    assert scroll <= width == size[0], "nothing is wider than the window"
    too_faint = [(text, round(contrast(*colours), 2)) for text, *colours, pixel, weight in browser.run(SEEN_TEXT)
                 if contrast(*colours) < (3 if pixel >= 24 or (pixel >= 18.66 and weight >= 700) else 4.5)]
    assert not too_faint
    small = browser.run("return [...document.querySelectorAll('button, summary')].filter(n => n.checkVisibility())"
                        ".map(n => n.getBoundingClientRect().height).filter(h => h < 44)")
    assert not small, "a finger hits it"

    name = f"{'phone' if size == PHONE else 'desktop'}-{scheme}"
    browser.picture(PICTURES / f"{name}.png")
    _, _, rows = pixels(browser.picture(scale=0.5))
    assert brightness(rows) < 60 if scheme == "dark" else brightness(rows) > 215
    assert count_near(rows, GREEN[scheme]) > 50, "the bars are drawn"
    assert browser.complaints() == []


def test_it_is_live_and_asks_nobody_else(browser, sandbox, names):
    assert browser.text("#outcomes-empty") == "No handoff has ended yet."
    keep_busy(sandbox, names)
    first = wait_until(lambda: json.loads(browser.run("return JSON.stringify([...document.querySelectorAll("
                                                      "'#outcomes .n')].map(n => n.textContent))"))[2:], 30, "an outcome")
    wait_until(lambda: browser.text("#outcomes") and browser.run(
        "return document.querySelector('#outcomes tbody .n').textContent") != first[0], 30, "it to change")
    hosts = browser.run("return performance.getEntriesByType('resource').map(e => new URL(e.name).origin + "
                        "new URL(e.name).pathname)")
    assert set(hosts) == {browser.run("return location.origin") + "/status"}


def test_trouble_is_told(browser, sandbox, names, started):
    """In words at the top, in the title, and to a screen reader; and a page that has lost its worker says so."""
    sandbox.script("on fetch reply 403")
    produce(sandbox.bootstrap, names.requests, [keyed(n) for n in range(20)])
    wait_until(lambda: browser.text("#verdict") == "Not ready", 30, "the verdict")
    assert browser.text("#reasons") == "the circuit breaker is open"
    wait_until(lambda: "Circuit breaker" in browser.text("#why") and "open" in browser.text("#tenants"), 10, "the cause")
    assert browser.run("return document.querySelector('[aria-live=polite]').textContent").startswith("Not ready. ")
    assert browser.run("return document.title").startswith("Not ready")
    PICTURES.mkdir(parents=True, exist_ok=True)
    browser.picture(PICTURES / "not-ready.png")
    started.kill()
    wait_until(lambda: browser.text("#verdict") == "The worker does not answer", 20, "it to notice")
    assert "figures below are from" in browser.text("#reasons")


def test_keyboard_alone(browser):
    def focused():
        return browser.run("const a = document.activeElement; return a.id || a.className || a.textContent")

    def outlined():
        return browser.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press("Tab")
    assert focused() == "skip" and outlined()
    assert browser.run("return document.activeElement.getBoundingClientRect().top >= 0"), "it comes into view"
    browser.press("Tab")
    assert focused() == "pause" and outlined()
    browser.press("Enter")
    assert browser.run("return document.activeElement.getAttribute('aria-pressed')") == "true"
    assert browser.text("#pause") == "Resume"
    asked = "return performance.getEntriesByType('resource').length"
    before = browser.run(asked)
    browser.press("Enter")
    wait_until(lambda: browser.run(asked) > before, 10, "it to ask again")
    browser.press("Tab")
    assert browser.run("return document.activeElement.tagName") == "SUMMARY" and outlined()
    browser.press("Enter")
    wait_until(lambda: "handoff.retry/0" in browser.text("#partitions"), 10, "each partition")


def test_what_a_screen_reader_finds(browser, sandbox, names):
    keep_busy(sandbox, names)
    wait_until(lambda: "completed" in browser.text("#outcomes") and "requests arrived" in browser.text("#flow-text"), 30,
               "something to tell")
    browser.protocol("Accessibility.enable")
    nodes = [node for node in browser.protocol("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes]
    assert {"banner", "main", "contentinfo"} <= {role for role, _ in named}
    assert [name for role, name in named if role == "heading"] == \
        ["handoffd", "Now", "The last five minutes", "Retries due in the next five minutes", "What waits, and why",
         "Outcomes", "Tenants", "Partitions of this worker"]
    tables = {name for role, name in named if role == "table"}
    assert tables >= {"What waits, and why", "Outcomes", "Tenants", "Partitions of this worker"}
    pictures = [name for role, name in named if role in ("image", "img")]
    assert any("requests arrived" in name for name in pictures) and any("etr" in name for name in pictures)
    assert all(name for role, name in named if role in ("button", "link", "region", "rowheader", "columnheader"))


def test_who_wants_no_motion_gets_none(browser, sandbox, names):
    keep_busy(sandbox, names)
    wait_until(lambda: browser.run("return !!document.querySelector('meter-bar > span')"), 30, "a bar")
    duration = "return getComputedStyle(document.querySelector('meter-bar > span')).transitionDuration"
    assert browser.run(duration) != "0s"
    browser.form(DESKTOP, "light", prefers_reduced_motion="reduce")
    assert browser.run(duration) == "0s"
