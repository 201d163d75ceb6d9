"""What the measurements share: a broker, a Cognigy simulator and workers in a folder of their own."""
import contextlib
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
# pylint: disable=wrong-import-position
from lib import (PROJECT, Kafka, Process, Sandbox, Topics, Worker, binary, end_offsets, produce, request,  # noqa: E402
                 script, wait_until)
from lib.kafka import create_topics  # noqa: E402


def flood(stage, worker, count, patience):
    """Sends that many handoffs and waits for their outcomes, without asking the worker anything meanwhile. Returns
    (seconds from the first record to the last outcome, CPU seconds of the worker)."""
    kafka, outcomes = stage.kafka.bootstrap, stage.topics.outcomes
    prefix = uuid.uuid4().hex[:8]
    records = [{"key": f"{prefix}-{n}".encode(), "value": request(f"{prefix}-{n}", metadata={"caller": f"c{n}"})}
               for n in range(count)]
    before = sum(end_offsets(kafka, outcomes).values())
    cpu, begin = worker.cpu_seconds(), time.monotonic()
    produce(kafka, stage.topics.requests, records)

    def ended():
        worker.check_alive()
        time.sleep(0.05)
        return sum(end_offsets(kafka, outcomes).values()) >= before + count
    wait_until(ended, patience, f"{count} outcomes")
    return time.monotonic() - begin, worker.cpu_seconds() - cpu


@contextlib.contextmanager
def folder():
    """In the project, not in /tmp: scripts leave nothing outside it. Ends every process at the end."""
    os.makedirs(PROJECT / ".cache", exist_ok=True)
    path = pathlib.Path(tempfile.mkdtemp(prefix="bench.", dir=PROJECT / ".cache"))
    try:
        yield path
    except AssertionError as error:
        sys.exit(f"scripts/bench: {error}")
    finally:
        Process.end_all()
        if (path / "kafka").exists():
            subprocess.run([script("kafka"), "stop", "--dir", str(path / "kafka")], check=False, timeout=60)
        shutil.rmtree(path, ignore_errors=True)


def start_apache(parent):
    done = subprocess.run([script("kafka"), "start", "--dir", str(parent / "kafka"), "--owner", str(os.getpid())],
                          stdout=subprocess.PIPE, text=True, check=True, timeout=900)
    return Kafka(done.stdout.strip().split("=", 1)[1], "apache")


class Origin(Process):
    """The cheapest thing that answers a handoff's calls (tests/bench/origin.c): every session is there, all goes well.
    `authority`: of its certificate, if it is to speak TLS; `notes`: keep when each session was fetched."""

    client_id = client_secret = "bench"

    def __init__(self, path, delay_ms=0, token_bytes=32, authority=None, notes=False):
        self.ca_file = str(authority.certificate) if authority else None
        self.notes = path / f"notes-{uuid.uuid4().hex[:8]}" if notes else None
        certificate, key = authority.issue(f"origin-{uuid.uuid4().hex[:8]}") if authority else (None, None)
        super().__init__("origin", [binary("tests/origin"), "-d", delay_ms, "-t", token_bytes,
                                    *(["-n", self.notes] if notes else []),
                                    *(["-c", certificate, "-k", key] if authority else [])], path)

        def said():
            self.check_alive()
            return self.stdout().partition("\n")[0].partition("=")[2]
        self.base_url = wait_until(said, 20, "the origin to say where it is")
        self.context = ssl.create_default_context(cafile=self.ca_file) if authority else None

    def book(self):
        """What was called so far; `first` (Unix us) begins anew each time."""
        with urllib.request.urlopen(self.base_url.replace("/api/v1", "/_book"), timeout=20, context=self.context) as reply:
            return json.load(reply)

    def fetched(self):
        """session -> when its first fetch came, Unix us"""
        self.book()
        found = {}
        for line in self.notes.read_text().splitlines():
            session, at = line.split()
            found.setdefault(session, int(at))
        return found


class Stage:
    """One pool of workers with topics and simulators of its own."""

    def __init__(self, parent, name, lines, partitions=8, apache=None, tenants=()):
        """`tenants`: script lines of further simulators, by tenant; `lines` is the first one's."""
        self.path = parent / name
        self.path.mkdir()
        self.apache = apache
        self.workers = []
        self.simulator = Sandbox(self.path, broker=apache is None, partitions=None if apache else partitions,
                                 script="book totals\n" + lines)
        self.others = {tenant: Sandbox(self.path, broker=False, name=tenant, script="book totals\n" + text)
                       for tenant, text in dict(tenants).items()}
        if apache:
            self.topics = Topics.unique(partitions)
            create_topics(apache.bootstrap, {topic: partitions for topic in self.topics.all()})
        else:
            self.topics = Topics(partitions=partitions)
        self.kafka = apache or Kafka(self.simulator.bootstrap, "sandbox")

    def start(self, count=1, **changes):
        """That many more workers, ready."""
        changes.setdefault("log", {"level": "warn"})
        fresh = [Worker(self.path, self.kafka, self.topics, self.simulator,
                        name=f"{self.path.name}-{len(self.workers) + n}", **changes) for n in range(count)]
        self.workers += fresh
        for worker in fresh:
            worker.wait_ready()
        return fresh

    def end(self):
        for worker in self.workers:
            worker.stop_clean()
        for simulator in (self.simulator, *self.others.values()):
            simulator.kill()


__all__ = ["Kafka", "Origin", "PROJECT", "Process", "Stage", "Topics", "Worker", "binary", "create_topics", "flood", "folder",
           "produce", "request", "script", "start_apache", "wait_until"]
