"""What scripts/bench runs: one worker, a flood of handoffs, its CPU time from /proc."""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
# pylint: disable=wrong-import-position
from lib import (PROJECT, Kafka, Process, Sandbox, Topics, Worker, binary, produce, request, script,  # noqa: E402
                 wait_until)
from lib.kafka import create_topics  # noqa: E402

PARTITIONS = 8
LIMIT_SECONDS = 300


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--in-flight", type=int, default=128)
    parser.add_argument("--latency-ms", type=int, default=0)
    parser.add_argument("--apache-kafka", action="store_true")
    return parser.parse_args()


def start_brokers(options, folder):
    """(kafka, topics, simulator)"""
    text = "book totals\n" + (f"latency {options.latency_ms}ms\n" if options.latency_ms else "")
    if not options.apache_kafka:
        sandbox = Sandbox(folder, partitions=PARTITIONS, script=text)
        return Kafka(sandbox.bootstrap, "sandbox"), Topics(partitions=PARTITIONS), sandbox
    done = subprocess.run([script("kafka"), "start", "--dir", str(folder / "kafka"), "--owner", str(os.getpid())],
                          stdout=subprocess.PIPE, text=True, check=True, timeout=900)
    bootstrap = done.stdout.strip().split("=", 1)[1]
    topics = Topics.unique(PARTITIONS)
    create_topics(bootstrap, {name: PARTITIONS for name in topics.all()})
    return Kafka(bootstrap, "apache"), topics, Sandbox(folder, broker=False, script=text)


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


def measure(options, folder):
    kafka, topics, simulator = start_brokers(options, folder)
    worker = Worker(folder, kafka, topics, simulator, limits={"max_in_flight": options.in_flight},
                    log={"level": "warn"}).wait_ready()
    flood(worker, topics, max(100, options.count // 10))
    seconds, cpu = flood(worker, topics, options.count)
    worker.stop_clean()
    unit = cpu / options.count * 1e6
    place = "Apache Kafka" if options.apache_kafka else "the sandbox"
    print(f"{options.count} handoffs, {options.in_flight} in flight, Cognigy answering after {options.latency_ms} ms, "
          f"on {place}, {os.cpu_count()} cores")
    print(f"worker:    {unit:8.0f} us CPU per handoff   {options.count / seconds:8.0f} handoffs/s")
    bare = yardstick(simulator, options)
    print(f"yardstick: {bare:8.0f} us CPU per handoff   the worker needs {unit / bare:.2f} times that")


def main():
    options = parse()
    # In the project, not in /tmp: scripts leave nothing outside it.
    os.makedirs(PROJECT / ".cache", exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench.", dir=PROJECT / ".cache"))
    try:
        measure(options, folder)
    except AssertionError as error:
        sys.exit(f"scripts/bench: {error}")
    finally:
        Process.end_all()
        if options.apache_kafka:
            subprocess.run([script("kafka"), "stop", "--dir", str(folder / "kafka")], check=False, timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
