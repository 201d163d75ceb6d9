"""scripts/chaos: carries a plan out while the load goes on, waits until all is handed over, and judges."""
import argparse
import json
import pathlib
import shutil
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]
# pylint: disable=wrong-import-position
import judge  # noqa: E402
import plan as plans  # noqa: E402
from load import Load, Reader  # noqa: E402
from stage import Stage, wait  # noqa: E402

PER_SECOND = 60
DRAIN_SECONDS = 150


class Run:
    """One plan, carried out."""

    def __init__(self, stage, plan):
        self.stage, self.plan = stage, plan
        self.trouble, self.asked, self.drained = [], set(), None
        self.over = threading.Event()
        self.reader = Reader(stage.pool.bootstrap, stage.pool.topics.outcomes)
        self.begin = time.monotonic()
        self.load = Load(stage.pool.bootstrap, stage.pool.topics.requests, PER_SECOND, plan.seed)

    def seconds(self):
        return time.monotonic() - self.begin

    def say(self, text):
        print(f"{self.seconds():7.1f} s  {text}\n", end="", flush=True)  # in one piece: each track tells its own

    def play(self):
        """The whole of it: disturbances, the rest of the load, the drain, the leaving."""
        others = [threading.Thread(target=self._track, args=(name,), daemon=True) for name in ("broker", "cognigy")]
        watch = threading.Thread(target=self._watch, daemon=True)
        for thread in [*others, watch]:
            thread.start()
        self._track("worker")  # here: a program under test dies with the thread that started it
        for thread in others:
            thread.join()
        self.asked = self.load.stop()
        self.say(f"no more disturbances; {len(self.asked)} requests, {self.missing()} to be ended")
        ceased = time.monotonic()
        if wait(lambda: not self.missing(), DRAIN_SECONDS):
            self.drained = time.monotonic() - ceased
            self.say("every request has an outcome; the workers leave")
        else:
            self.trouble.append(f"{self.missing()} requests have no outcome {DRAIN_SECONDS} s after the last disturbance")
        self.over.set()
        watch.join()
        self.stage.close_pool()
        self.trouble += self.load.trouble + self.stage.trouble

    def missing(self):
        return len(self.asked - self.reader.said.keys())

    def _track(self, name):
        try:
            for step in self.plan.steps:
                if step.track == name:
                    time.sleep(max(0, step.at - self.seconds()))
                    self.say(f"{step.track:8} {step.verb} {step.what}".rstrip())
                    getattr(self.stage, step.verb)(step.what)
        except Exception as error:  # pylint: disable=broad-except
            self.trouble.append(f"the run itself failed at {step}: {error!r}")

    def _watch(self):
        told = 0.0
        while not self.over.is_set():
            end = time.monotonic() + 1
            while time.monotonic() < end:
                self.reader.poll(0.1)
            self.stage.look()
            self.stage.keep_calls()
            if self.seconds() - told >= 10:
                told = self.seconds()
                self.say(f"load     {len(self.load.acknowledged)} written, {len(self.reader.said)} ended")


def table(run, outcomes, book):
    stage, asked = run.stage, run.asked
    slowest = max((said[0]["timing"]["totalMs"] or 0 for said in outcomes.values()), default=0)
    rows = (("minutes", f"{run.plan.seconds / 60:g}"), ("requests", len(asked)), ("kills", stage.counts["kills"]),
            ("freezes", stage.counts["freezes"]), ("broker cycles", stage.cluster.cycles), ("rebalances", stage.rebalances()),
            ("sessions sent a second trigger", book["sessionsTriggerSentTwice"]),
            ("sessions that executed one", book["sessionsTriggeredTwice"]),
            ("of them overtaken by a late call", book["overtaken"]),
            ("calls at once of one session", book["mostAtOnce"]),
            ("the same, orphaned ones counted", book["mostAtOnceWithVanished"]),
            ("lost", len(judge.lost(asked, outcomes))),
            ("doubled", sum(len(said) - 1 for said in outcomes.values())), ("slowest, s", f"{slowest / 1000:.1f}"),
            ("drained in, s", "never" if run.drained is None else f"{run.drained:.1f}"))
    print(f"\nseed {run.plan.seed}")
    for name, value in rows:
        print(f"{name:32} {value:>8}")


def main(plan, folder):
    """The sentences about what is broken."""
    stage = Stage(folder, plan)
    try:
        run = Run(stage, plan)
        run.play()
        reader = Reader(stage.pool.bootstrap, stage.pool.topics.outcomes).read_to_end()
        outcomes = dict(reader.said)
        book, verified = stage.simulator.book(), stage.pool.verify()
        twice = judge.triggered_twice(stage.calls())
        book["overtaken"] = sum(map(judge.is_overtaken, twice.values()))
        broken = judge.verdict(run.asked, outcomes, book, verified, run.trouble + reader.trouble)
        table(run, outcomes, book)
        if broken:
            (folder / "outcomes.json").write_text(json.dumps(outcomes, indent=1))
        return broken
    finally:
        stage.close()


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--plan", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    wanted = arguments()
    drawn = plans.draw(wanted.seed, 60 * wanted.minutes)
    print(f"seed {drawn.seed}, {wanted.minutes} minutes, session time-out {drawn.session_timeout_ms} ms, first "
          f"{' '.join(drawn.first)}, static {' '.join(sorted(drawn.static))}", flush=True)
    if wanted.plan:
        print("\n".join(map(str, drawn.steps)))
        sys.exit(0)
    kept = pathlib.Path(tempfile.mkdtemp(prefix="handoff-chaos-"))
    found = [f"the run was not completed; see {kept}"]
    try:
        found = main(drawn, kept)
    finally:
        print("".join(f"\nBROKEN: {sentence}" for sentence in found) or "\nevery promise was kept")
        if found:
            print(f"logs, outcomes and calls are in {kept}; the same plan again: scripts/chaos --seed {drawn.seed} "
                  f"--minutes {wanted.minutes}")
        else:
            shutil.rmtree(kept)
    sys.exit(1 if found else 0)
