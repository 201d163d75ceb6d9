"""What scripts/bench runs: one worker, a flood of handoffs, its CPU time from /proc."""
import argparse
import json
import os
import subprocess
import time
import urllib.request
import uuid

from stage import Stage, binary, folder, start_apache
from lib import produce, request, wait_until

PARTITIONS = 8
LIMIT_SECONDS = 300


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--in-flight", type=int, default=128)
    parser.add_argument("--latency-ms", type=int, default=0)
    parser.add_argument("--apache-kafka", action="store_true")
    return parser.parse_args()


def flood(worker, topics, count):
    """Sends that many handoffs and returns (seconds until the last outcome, CPU seconds of the worker)."""
    prefix = uuid.uuid4().hex[:8]
    records = [{"key": f"{prefix}-{n}".encode(), "value": request(f"{prefix}-{n}", metadata={"caller": f"c{n}"})}
               for n in range(count)]
    before = worker.metric("handoffd_outcomes_total")
    cpu, begin = worker.cpu_seconds(), time.monotonic()
    produce(worker.kafka.bootstrap, topics.requests, records)

    def finished():
        worker.check_alive()
        time.sleep(0.1)  # looking costs the worker something, too
        return worker.metric("handoffd_outcomes_total") - before >= count
    wait_until(finished, LIMIT_SECONDS, f"{count} outcomes")
    return time.monotonic() - begin, worker.cpu_seconds() - cpu


def log_in(simulator):
    call = urllib.request.Request(f"{simulator.base_url}/auth/login", headers={"content-type": "application/json"},
                                  data=json.dumps({"client_id": simulator.client_id,
                                                   "client_secret": simulator.client_secret,
                                                   "grant_type": "client_credentials"}).encode())
    with urllib.request.urlopen(call, timeout=30) as reply:
        return json.load(reply)["access_token"]


def yardstick(simulator, options):
    """CPU microseconds per handoff of the bare client (tests/bench/yardstick.c), against the same simulator."""
    done = subprocess.run([binary("tests/yardstick"), simulator.base_url, str(options.in_flight), str(options.count),
                           log_in(simulator)], stdout=subprocess.PIPE, text=True, check=True, timeout=LIMIT_SECONDS)
    return json.loads(done.stdout)["cpu_us_per_handoff"]


def measure(options, parent):
    latency = f"latency {options.latency_ms}ms\n" if options.latency_ms else ""
    stage = Stage(parent, "cost", latency, PARTITIONS, start_apache(parent) if options.apache_kafka else None)
    worker, = stage.start(limits={"max_in_flight": options.in_flight})
    flood(worker, stage.topics, max(100, options.count // 10))
    seconds, cpu = flood(worker, stage.topics, options.count)
    worker.stop_clean()
    unit = cpu / options.count * 1e6
    place = "Apache Kafka" if options.apache_kafka else "the sandbox"
    print(f"{options.count} handoffs, {options.in_flight} in flight, Cognigy answering after {options.latency_ms} ms, "
          f"on {place}, {os.cpu_count()} cores")
    print(f"worker:    {unit:8.0f} us CPU per handoff   {options.count / seconds:8.0f} handoffs/s")
    bare = yardstick(stage.simulator, options)
    print(f"yardstick: {bare:8.0f} us CPU per handoff   the worker needs {unit / bare:.2f} times that")


def main():
    options = parse()
    with folder() as parent:
        measure(options, parent)


if __name__ == "__main__":
    main()
