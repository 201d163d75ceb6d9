"""What scripts/bench runs: every target of the worker's speed, measured beside the yardstick and judged."""
import argparse
import os
import statistics
import time

import cost
import growth
import promptness
import report
from crew import Machine, divide_processors
from lib.tls import Authority
from report import Finding, at, quantiles
from stage import PROJECT, folder, start_apache

LIMIT_SECONDS = 840  # no part begins after that


class Bench:
    """Its parts measure one after the other and add to the same two tables."""

    def __init__(self, machine, quick):
        self.machine, self.quick = machine, quick
        self.rows, self.findings = [], []

    def say(self, row):
        self.rows.append(row)
        print(f"{row.title:40} worker {row.cpu_us():4.0f} us, yardstick {row.bare_us():4.0f} us: {row.ratio():.2f}",
              flush=True)

    def find(self, *finding):
        self.findings.append(Finding(*finding))
        print(f"{finding[0]}: {finding[1]}", flush=True)

    def cost(self):
        for case in cost.QUICK if self.quick else cost.CASES:
            self.say(cost.measure(self.machine, case))

    def delivery(self):
        exactly, least = cost.measure_deliveries(self.machine)
        exactly.target = least.target = None  # the row without TLS is judged already
        self.say(exactly)
        self.say(least)
        ratio = statistics.median(one.cpu_us / other.cpu_us for one, other in zip(exactly.crew, least.crew))
        self.find("CPU of exactly-once", f"{ratio:.2f} times that of at-least-once", "≤ 1.1", ratio <= 1.1)

    def latency(self):
        half = next((row.per_second() for row in self.rows if row.title == cost.Case(128, 20).title()), 1000) / 2
        whole, times, heard = promptness.first_call(self.machine, half)
        self.find(f"from a record in the broker's log to its first call, at {half:.0f} records/s (half load)",
                  f"{quantiles(times)}; from when it was to be sent {quantiles(whole)}", "p99 ≤ 10 ms", at(times, .99) <= 10)
        self.find("the same to a consumer beside the worker that does nothing with it", quantiles(heard))

    def retries(self):
        for parked, most in ((0, 10),) if self.quick else ((0, 10), (promptness.PARKED, 50)):
            times, held = promptness.retries(self.machine, parked)
            what = f"with {parked:,} parked, {held:,} of them in memory" if parked else "alone"
            self.find(f"a retry's lateness, {what}", f"{quantiles(times)}; {sum(t < 0 for t in times)} early",
                      f"p99 ≤ {most} ms", at(times, .99) <= most and times[0] >= 0)

    def start(self):
        found = promptness.starts(self.machine, 2 if self.quick else 5)
        whole, assigned = (max(times) for times in zip(*found))
        self.find("from its assignment to the first call of a new worker", f"at most {assigned:.0f} ms of "
                  f"{len(found)} starts; from the start of the process {whole:.0f} ms", "≤ 1 s", assigned <= 1000)

    def memory(self):
        kib = growth.memory(self.machine)
        self.find("memory for each handoff in flight, of 1,000", f"{kib:.1f} KiB", "≤ 16 KiB", kib <= 16)
        if not self.quick:
            self.find("the same over TLS", f"{growth.memory(self.machine, tls=True):.1f} KiB")

    def growth(self):
        if not self.quick:
            for row in growth.rows(self.machine):
                self.say(row)

    def goodput(self):
        if not self.quick:
            goodput, refused = growth.goodput(self.machine)
            self.find(f"handoffs at a tenant's limit of {growth.LIMIT_RATE} calls/s", f"{goodput:.3f} of what it allows, "
                      f"{refused:.2%} of the calls answered 429", "≥ 0.98, < 0.5 %", goodput >= 0.98 and refused < 0.005)


PARTS = ("cost", "delivery", "latency", "retries", "start", "memory", "growth", "goodput")


def measure(bench, parts):
    began = time.monotonic()
    for part in parts:
        seconds = time.monotonic() - began
        if seconds > LIMIT_SECONDS:
            bench.find(part, f"not measured: {seconds:.0f} s are over")
            continue
        print(f"--- {part} ({seconds:.0f} s)", flush=True)
        getattr(bench, part)()
    return time.monotonic() - began


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--part", choices=PARTS, action="append")
    options = parser.parse_args()
    divide_processors()
    load = os.getloadavg()[0]
    with folder() as parent:
        bench = Bench(Machine(parent, start_apache(parent), Authority(parent)), options.quick)
        seconds = measure(bench, options.part or PARTS)
    remark = (f"{os.cpu_count()} processors, the last one for the worker and the yardstick alone, Apache Kafka and the origin "
              f"on the others; load {load:.1f} before; {seconds:.0f} s. All at the defaults, but for limits.max_in_flight.")
    text = report.text(remark, bench.rows, bench.findings)
    (PROJECT / "build" / "bench.md").write_text(text)
    print("\n" + text)
    if bench.rows:
        (PROJECT / "build" / "bench.svg").write_text(report.chart(bench.rows))
    return 0 if report.all_met(bench.rows, bench.findings) else 1


if __name__ == "__main__":
    raise SystemExit(main())
