"""What scripts/bench lanes runs: live callers while a backlog of bulk requests is worked off."""
import argparse
import time

from stage import Stage, folder
from load import Steady, part
from lib import produce, request

BACKLOG = 100000
PARTITIONS = 4
LATENCY_MS = 50
LIVE = "handoff.live"
CASES = (
    # what is in the way, limits of the worker, how long one call keeps others waiting, ms
    ("8 calls at a time", {"max_in_flight": 8, "adaptive_concurrency": False}, LATENCY_MS),
    ("one call at a time", {"max_in_flight": 1, "adaptive_concurrency": False}, LATENCY_MS),
    ("12 calls a second", {"requests_per_second": 12.0}, 83),
)
# Of the timers, the commit and the machine's own other work.
TOLERANCE_MS = 15


def stage_of(parent, name, limits):
    stage = Stage(parent, name, f"latency {LATENCY_MS}ms\n", PARTITIONS)
    produce(stage.kafka.bootstrap, LIVE, [{"key": b"first", "value": request("first")}])  # creates the topic
    stage.start(limits=limits, kafka={"requests": [LIVE, stage.topics.requests]}, worker={"window": 50000})
    return stage


def live_times(stage, rate, seconds):
    return Steady(stage, LIVE, rate, seconds).times()


def fill(stage, priority):
    field = {"priority": priority} if priority else {}
    produce(stage.kafka.bootstrap, stage.topics.requests,
            [{"key": f"b{n}".encode(), "value": request(f"b{n}", ttlMs=86400000, **field)} for n in range(BACKLOG)])


def bulk_done(stage):
    return stage.simulator.book()["steps"]["trigger"]["executed"]


def measure(parent, number, case, seconds):
    title, limits, call_ms = case
    stage = stage_of(parent, f"lanes{number}", limits)
    rate = 2
    alone = live_times(stage, rate, seconds)
    fill(stage, "low")
    time.sleep(5)  # most of it is read by now, and the first ones run
    before, begin = bulk_done(stage), time.monotonic()
    beside = live_times(stage, rate, seconds)
    others = (bulk_done(stage) - before - len(beside)) / (time.monotonic() - begin)
    stage.end()
    delay = max(part(beside, p) - part(alone, p) for p in (0.5, 0.95))
    ok = delay <= call_ms + TOLERANCE_MS and others > 0
    print(f"{title:20} {part(alone, .5):6} {part(alone, .95):6} {part(beside, .5):8} {part(beside, .95):6} "
          f"{delay:7} {call_ms:9} {others:10.1f}  {'ok' if ok else 'MISSED'}", flush=True)
    return ok


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    print(f"a live lane of 2 requests/s beside {BACKLOG} bulk requests; each call takes {LATENCY_MS} ms; times in ms")
    print(f"{'what is in the way':20} {'alone':>6} {'p95':>6} {'beside':>8} {'p95':>6} {'delay':>7} {'one call':>9} "
          f"{'bulk/s':>10}", flush=True)
    with folder() as parent:
        results = [measure(parent, n, case, options.seconds) for n, case in enumerate(CASES)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
