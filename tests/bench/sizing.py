"""What scripts/bench sizing runs: the figures that say how large a pool has to be, and a pool of fifty to see it."""
import argparse
import os
import signal
import time

from crew import PATIENCE, Crew, Machine, divide_processors, pinned
from growth import memory
from stage import folder, start_apache, wait_until
from lib.tls import Authority

PARTITIONS, WORKERS = 60, 50
IDLE_SECONDS = 10
BACKLOG = 100000
IN_FLIGHT, DELAY_MS = 256, 50
ASKED = 3000


def say(what, figure):
    print(f"| {what} | {figure} |", flush=True)


def idle_cpu(crew):
    """In parts of a core, of all its workers."""
    before, begin = crew.cpu_seconds(), time.monotonic()
    time.sleep(IDLE_SECONDS)
    return (crew.cpu_seconds() - before) / (time.monotonic() - begin)


def resident(crew):
    return sum(worker.memory_mb() for worker in crew.workers)


def alone(machine, partitions):
    """A worker that has nothing to do."""
    with machine.origin() as origin:
        crew = Crew(machine, origin, partitions=partitions).start()
        say(f"one worker, idle, {partitions} partitions", f"{resident(crew):.0f} MiB, {idle_cpu(crew):.2%} of a core")
        crew.stop()


def at_work(machine):
    """One worker with a backlog: at the default of max_in_flight, and calls of an ordinary length."""
    with machine.origin(delay_ms=DELAY_MS) as origin:
        crew = Crew(machine, origin, partitions=12).start()
        crew.ask(BACKLOG)
        run = crew.work_off(4 * IN_FLIGHT, 8)
        say(f"one worker with a backlog of {BACKLOG:,}, {IN_FLIGHT} calls of {DELAY_MS} ms at a time",
            f"{run.per_second:.0f} handoffs/s, {run.cpu_us:.0f} µs of CPU each, {resident(crew):.0f} MiB")
        crew.workers[0].kill()


def owned(crew):
    return sum(worker.owned(crew.topics.requests) for worker in crew.workers)


def fifty(machine):
    """All of them on this machine: what one pool does that large, not how fast fifty machines are."""
    with machine.origin(delay_ms=DELAY_MS) as origin:
        crew = Crew(machine, origin, partitions=PARTITIONS)
        begin = time.monotonic()
        for _ in range(WORKERS):
            crew.launch()
        for worker in crew.workers:
            worker.wait_ready(PATIENCE)
        wait_until(lambda: owned(crew) == PARTITIONS, PATIENCE, "fifty workers to share the partitions")
        say(f"{WORKERS} workers started at once, {PARTITIONS} partitions, until all are shared",
            f"{time.monotonic() - begin:.1f} s, {resident(crew):.0f} MiB in all")
        say("the same, idle", f"{idle_cpu(crew):.1%} of a core in all")
        begin = time.monotonic()
        crew.ask(ASKED)
        wait_until(lambda: crew.outcomes() >= ASKED, PATIENCE, f"{ASKED} outcomes")
        say(f"{ASKED:,} requests to them", f"{crew.outcomes():.0f} outcomes in {time.monotonic() - begin:.1f} s")
        lost = crew.workers.pop()
        begin = time.monotonic()
        lost.signal(signal.SIGKILL)
        wait_until(lambda: owned(crew) == PARTITIONS, PATIENCE, "the others to take over")
        say("one of them killed, until the others have its partitions", f"{time.monotonic() - begin:.1f} s")
        begin = time.monotonic()
        for worker in crew.workers:
            worker.signal(signal.SIGTERM)
        codes = {worker.wait(PATIENCE) for worker in crew.workers}
        say("SIGTERM to all, until the last has ended", f"{time.monotonic() - begin:.1f} s, exit codes {codes}")


def main():
    argparse.ArgumentParser().parse_args()
    divide_processors()
    with folder() as parent:
        machine = Machine(parent, start_apache(parent), Authority(parent))
        print(f"{os.cpu_count()} processors, the last one for the workers alone: {bool(pinned())}\n\n| | measured |\n|---|---|")
        for partitions in (12, PARTITIONS):
            alone(machine, partitions)
        say("each handoff in flight, of 1,000", f"{memory(machine):.1f} KiB; over TLS {memory(machine, tls=True):.1f} KiB")
        at_work(machine)
        fifty(machine)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
