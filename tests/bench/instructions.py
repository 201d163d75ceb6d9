"""What scripts/bench instructions runs: the worker under callgrind, and what each part of it costs a handoff.

Times are noisy, counts much less: run to run they differ by a few per cent, so this can say that a change made it a
good deal slower.
"""
import argparse
import subprocess

from callgrind import HELPERS, Profile
from stage import Origin, Stage, Worker, binary, flood, folder

WARM_UP = 300
IN_FLIGHT = 128
PATIENCE = 500  # seconds; under callgrind all is fifty times slower
OWN = ("src/base", "src/json", "src/rules", "src/doors", "src/worker", "json-c")
# Instructions a handoff: of our own code with what the C library does for it, and with libcurl's. Not librdkafka's: it
# works by the clock, and the slower the machine, the more of that falls on a handoff.
BOUND_OWN = 120000
BOUND_WITH_LIBCURL = 350000


def callgrind(out):
    return ["valgrind", "--tool=callgrind", "-q", f"--callgrind-out-file={out}"]


def control(worker, what):
    subprocess.run(["callgrind_control", what, str(worker.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   check=True, timeout=60)


def measure_worker(parent, origin, count):
    stage = Stage(parent, "instructions", "", 8)
    worker = Worker(stage.path, stage.kafka, stage.topics, origin, under=callgrind(parent / "worker"),
                    limits={"max_in_flight": IN_FLIGHT}, log={"level": "warn"})
    worker.wait_ready(120)
    flood(stage, worker, WARM_UP, PATIENCE)
    control(worker, "--zero")
    flood(stage, worker, count, PATIENCE)
    control(worker, "--dump")
    worker.kill()
    return Profile(parent / "worker.1")


def measure_yardstick(parent, origin, count):
    """Instructions of `count` handoffs more, so that what it does once does not count."""
    totals = []
    for handoffs in (count, 2 * count):
        out = parent / f"yardstick-{handoffs}"
        subprocess.run([*callgrind(out), binary("tests/yardstick"), origin.base_url, str(IN_FLIGHT), str(handoffs)],
                       stdout=subprocess.DEVNULL, check=True, timeout=PATIENCE)
        totals.append(Profile(out).total())
    return totals[1] - totals[0]


def show(profile, count, most):
    print(f"{'instructions a handoff':24} {'own':>9} {'C library for it':>17} {'together':>9}")
    parts = {part: profile.own[part] + profile.behalf[part] for part in profile.own if part != HELPERS}
    for part, together in sorted(parts.items(), key=lambda item: -item[1]):
        if together / count >= 100:
            print(f"{part:24} {profile.own[part] / count:9.0f} {profile.behalf[part] / count:17.0f} "
                  f"{together / count:9.0f}")
    for (part, name), cost in profile.functions.most_common(most):
        print(f"{cost / count:9.0f}  {part:14} {name}")


def within(what, value, bound):
    good = value <= bound
    print(f"{what:24} {value:9.0f}   at most {bound}: {'ok' if good else 'MORE THAN THAT'}")
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--functions", type=int, default=0)
    options = parser.parse_args()
    count = options.count
    with folder() as parent:
        origin = Origin(parent)
        profile = measure_worker(parent, origin, count)
        yardstick = measure_yardstick(parent, origin, count) / count
    show(profile, count, options.functions)
    worker = profile.total() / count
    print(f"{'yardstick':24} {yardstick:9.0f}   the worker needs {worker / yardstick:.2f} times that")
    own = sum(profile.own[part] + profile.behalf[part] for part in OWN)
    libcurl = profile.own["libcurl"] + profile.behalf["libcurl"]
    good = [within("our own", own / count, BOUND_OWN),
            within("our own and libcurl", (own + libcurl) / count, BOUND_WITH_LIBCURL)]
    return 0 if all(good) else 1


if __name__ == "__main__":
    raise SystemExit(main())
