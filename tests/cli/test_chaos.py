"""scripts/chaos: its plans, and its judge. Whether the workers keep what is promised is seen by running it."""
import collections
import itertools
import subprocess
import sys

import pytest

from lib import PROJECT, script

sys.path.insert(0, str(PROJECT / "tests" / "chaos"))
import judge  # noqa: E402  pylint: disable=wrong-import-position
import plan  # noqa: E402  pylint: disable=wrong-import-position

SEEDS = range(200)
BOOK = {"mostAtOnce": 1, "sessionsTriggeredTwice": 0, "overtaken": 0}


def printed(*words):
    done = subprocess.run([script("chaos"), "--plan", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, check=True)
    return done.stdout


def test_same_seed_same_plan():
    first = printed("--seed", "7", "--minutes", "4")
    assert first == printed("--seed", "7", "--minutes", "4") and first.startswith("seed 7, ")
    assert first.splitlines()[1:] != printed("--seed", "8", "--minutes", "4").splitlines()[1:]


def test_plans_hold_every_disturbance():
    verbs, troubles = collections.Counter(), set()
    for seed in SEEDS:
        for step in plan.draw(seed, 180).steps:
            verbs[step.verb] += 1
            troubles.add(step.what.split(" every=")[0])
    assert verbs.keys() == {"start", "kill", "freeze", "thaw", "leave", "broken", "mended", "script", "calm"}
    assert {"on login reply 503; token revoke", "on any reply 503 before", "on any drop during"} <= troubles


@pytest.mark.parametrize("minutes", [1, 2, 5])
def test_plans_can_be_carried_out(minutes):
    for seed in SEEDS:
        drawn = plan.draw(seed, 60 * minutes)
        assert [step.at for step in drawn.steps] == sorted(step.at for step in drawn.steps)
        assert all(0 < step.at <= 60 * minutes for step in drawn.steps)
        running, frozen = set(drawn.first), set()
        for step in drawn.steps:
            if step.track != "worker":
                continue
            assert (step.what in running) == (step.verb != "start"), f"seed {seed}: {step}"
            assert step.verb in ("thaw", "kill") or step.what not in frozen, f"seed {seed}: {step}"
            if step.verb in ("kill", "leave"):
                running.discard(step.what)
            else:
                running.add(step.what)
            (frozen.add if step.verb == "freeze" else frozen.discard)(step.what)
            assert len(running) <= plan.MOST
        assert not frozen and len(running) >= plan.FEWEST


def test_brokers_have_time_to_heal():
    for seed in SEEDS:
        cycle = [step for step in plan.draw(seed, 300).steps if step.track == "broker"]
        assert len(cycle) >= 10 and [step.verb for step in cycle] == ["broken", "mended"] * (len(cycle) // 2)
        for first, second in itertools.pairwise(cycle):
            assert first.what == second.what if first.verb == "broken" else second.at - first.at >= plan.APART - 0.2


def said(number, status="completed", reason="ok", session=None):
    return {"handoffId": f"h{number}", "sessionId": session or f"s{number}", "status": status, "reason": reason}


def verdict(outcomes, book=None, verified=None, trouble=()):
    by_id = collections.defaultdict(list)
    for outcome in outcomes:
        by_id[outcome["handoffId"]].append(outcome)
    return judge.verdict({"h0", "h1"}, by_id, {**BOOK, **(book or {})}, verified or {"done": 2}, trouble)


def test_a_clean_run_is_clean():
    assert not verdict([said(0), said(1)])
    assert not verdict([said(0), said(1, "initiated", "transfer.unconfirmed")])
    assert not verdict([said(0), said(1, "duplicate", "session.already_transferring", "s0")])


@pytest.mark.parametrize("broken, sentence", [
    ({"outcomes": [said(0)]}, "1 requests have no outcome: h1"),
    ({"outcomes": [said(0), said(1), said(1)]}, "1 requests have more than one outcome: h1"),
    ({"outcomes": [said(0), said(1), said(2)]}, "1 requests were never asked for: h2"),
    ({"outcomes": [said(0), said(1, "failed", "session.ended")]}, "1 requests ended as they must not: h1 failed, session.ended"),
    ({"outcomes": [said(0, "failed", "session.ended"), said(1, "failed", "session.ended", "s0")]},
     "2 requests ended as they must not: h0 failed, session.ended, h1 failed, session.ended"),
    ({"verified": {"done": 1, "lost": 1}}, "handoffctl verify counts {'done': 1, 'lost': 1}, not 2 done and nothing else"),
    ({"book": {"mostAtOnce": 2}}, "a session had 2 calls of living clients at once"),
    ({"book": {"sessionsTriggeredTwice": 3}}, "3 sessions were triggered twice"),
    ({"book": {"sessionsTriggeredTwice": 3, "overtaken": 2}}, "1 sessions were triggered twice"),
    ({"trouble": ["w1 had ended by itself, with 1"]}, "w1 had ended by itself, with 1"),
])
def test_what_is_broken_is_said(broken, sentence):
    assert verdict(**{"outcomes": [said(0), said(1)], **broken}) == [sentence]


def call(step, begin, end, vanished=False, executed=True, session="s0"):
    return {"session": session, "step": step, "ms": begin, "tookUs": 1000 * (end - begin), "executed": executed,
            "vanished": vanished}


FIRST, SECOND, THIRD = call("trigger", 20, 30), call("trigger", 60, 70), call("trigger", 90, 95)


@pytest.mark.parametrize("others, overtaken", [
    ([FIRST, SECOND], False),
    ([FIRST, SECOND, call("update", 10, 40, vanished=True)], True),
    ([FIRST, SECOND, call("update", 10, 40)], False),                                   # its worker has heard of it
    ([FIRST, SECOND, call("update", 10, 40, vanished=True, executed=False)], False),
    ([FIRST, SECOND, call("update", 10, 15, vanished=True)], False),                    # it was not late
    ([FIRST, SECOND, call("update", 40, 50, vanished=True)], False),                    # sent after the trigger
    ([FIRST, SECOND, call("fetch", 10, 40, vanished=True)], False),
    ([FIRST, SECOND, THIRD, call("update", 10, 40, vanished=True)], False),             # the third is left
    ([FIRST, SECOND, THIRD, call("update", 10, 40, vanished=True), call("update", 50, 80, vanished=True)], True),
])
def test_only_an_update_that_was_given_up_overtakes(others, overtaken):
    assert judge.is_overtaken(others) == overtaken


def test_sessions_are_told_apart():
    calls = [FIRST, SECOND, call("trigger", 20, 30, session="s1"), call("trigger", 40, 50, executed=False, session="s1")]
    assert judge.triggered_twice(calls) == {"s0": [FIRST, SECOND]}
