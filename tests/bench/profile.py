"""What scripts/bench profile runs: in which libraries the CPU time of a handoff goes, the worker's and the yardstick's."""
import argparse
import collections
import re
import subprocess
import time

from cost import Case
from crew import Crew, Machine, divide_processors, pinned
from stage import binary, folder, start_apache

SECONDS = 3
HANDOFFS = 40000  # more than are done in that time
PARTS = (("libcurl", "libcurl"), ("librdkafka", "librdkafka"), ("kernel", "the kernel"),
         ("vdso", "reading the clock"), ("handoffd", "our own code"), ("yardstick", "its own code"))
MEMORY = re.compile(r"malloc|calloc|realloc|free|unlink_chunk|sysmalloc")
LINE = re.compile(r"\s*([\d.]+)%\s+(\S+)\s+\[[^]]*\] (.*?)\s*$")


def part_of(library, symbol):
    for stem, name in PARTS:
        if stem in library:
            return name
    return "the C library, memory" if MEMORY.search(symbol) else "the C library, the rest"


def record(pid, path):
    """Percents by part, of what that process does for a while."""
    looked = subprocess.run(["perf", "record", "-q", "-F", "3000", "-p", str(pid), "-o", path, "--", "sleep",
                             str(SECONDS)], check=False, stderr=subprocess.DEVNULL, timeout=60)
    assert looked.returncode == 0, "perf may not look at a process here (kernel.perf_event_paranoid)"
    done = subprocess.run(["perf", "report", "-q", "-i", path, "--sort", "dso,symbol"], check=True, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=120)
    found = collections.Counter()
    for line in done.stdout.splitlines():
        if match := LINE.match(line):
            found[part_of(match[2], match[3])] += float(match[1])
    return found


def of_worker(machine, origin, case):
    crew = Crew(machine, origin, case.in_flight).start()
    worker, = crew.workers
    crew.flood(case.warm_up(), case.count())
    before = origin.book()["triggers"]
    crew.ask(HANDOFFS)
    crew.wait_triggers(before + case.warm_up())
    first, cpu = origin.book()["triggers"], worker.cpu_seconds()
    percents = record(worker.pid, machine.path / "worker.perf")
    last, used = origin.book()["triggers"], worker.cpu_seconds()
    worker.kill()
    return percents, (used - cpu) / (last - first) * 1e6


def of_yardstick(machine, origin, case):
    with subprocess.Popen([*pinned(), binary("tests/yardstick"), origin.base_url, str(case.in_flight), str(HANDOFFS)],
                          stdout=subprocess.DEVNULL) as process:
        time.sleep(1)
        before, cpu = origin.book()["triggers"], time.clock_gettime(~process.pid << 3 | 2)
        percents = record(process.pid, machine.path / "yardstick.perf")
        used, after = time.clock_gettime(~process.pid << 3 | 2), origin.book()["triggers"]
        process.kill()
    return percents, (used - cpu) / (after - before) * 1e6


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay-ms", type=int, default=20)
    options = parser.parse_args()
    case = Case(128, options.delay_ms)
    divide_processors()
    with folder() as parent:
        machine = Machine(parent, start_apache(parent), None)
        with case.origin(machine) as origin:
            worker, worker_us = of_worker(machine, origin, case)
            bare, bare_us = of_yardstick(machine, origin, case)
    print(f"| µs of CPU a handoff; {case.title()} | worker | yardstick | the worker's more |\n|---|---|---|---|")
    for part in sorted(worker | bare, key=lambda name: -worker[name]):
        mine, its = worker[part] * worker_us / 100, bare[part] * bare_us / 100
        if max(mine, its) >= 1:
            print(f"| {part} | {mine:.0f} | {its:.0f} | {mine - its:.0f} |")
    print(f"| together | {worker_us:.0f} | {bare_us:.0f} | {worker_us - bare_us:.0f}, {worker_us / bare_us:.2f} times |")


if __name__ == "__main__":
    main()
