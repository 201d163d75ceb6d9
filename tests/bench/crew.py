"""A pool of workers at its defaults, on Apache Kafka and an origin, pinned apart from both; and the yardstick beside it."""
import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import time
import uuid

from stage import Kafka, Origin, Topics, Worker, binary, create_topics, produce, request, wait_until
from lib.tls import Authority

PATIENCE = 120
SHORT, LONG = 32, 1024  # bytes of a token
POLL_SECONDS = 0.03
COMMIT_SECONDS = 0.15  # kafka.commit_interval_ms, and the commit


@dataclasses.dataclass
class Machine:
    """Where all of it runs: the client has the last processor for itself, everything else the others."""
    path: pathlib.Path
    kafka: Kafka
    authority: Authority
    count: int = 0

    def folder(self):
        self.count += 1
        path = self.path / f"crew{self.count}"
        path.mkdir()
        return path

    @contextlib.contextmanager
    def origin(self, **options):
        tls = options.pop("tls", False)
        origin = Origin(self.path, authority=self.authority if tls else None, **options)
        try:
            yield origin
        finally:
            origin.kill()


def divide_processors():
    """Keeps this process, and all it starts, off the client's processor; not where there is only one."""
    if os.cpu_count() > 1:
        os.sched_setaffinity(0, range(os.cpu_count() - 1))


def pinned():
    return ["taskset", "-c", str(os.cpu_count() - 1)] if os.cpu_count() > 1 else []


@dataclasses.dataclass
class Run:
    """What `count` handoffs cost."""
    cpu_us: float      # user and system, a handoff
    per_second: float


class Crew:
    """`config`: of the topics; `changes`: sections of the workers' configuration"""

    def __init__(self, machine, origin, in_flight=None, partitions=8, config=None, **changes):
        self.path, self.kafka, self.origin, self.in_flight = machine.folder(), machine.kafka, origin, in_flight
        self.topics = Topics.unique(partitions)
        self.changes, self.workers = changes, []
        create_topics(self.kafka.bootstrap, {topic: partitions for topic in self.topics.all()}, **(config or {}))

    def launch(self):
        """One more worker; wait_ready() before relying on it."""
        name = f"{self.path.name}-{len(self.workers)}"
        limits = {} if self.in_flight is None else {"max_in_flight": self.in_flight}
        changes = {**self.changes, "limits": {**limits, **self.changes.get("limits", {})},
                   "kafka": {"delivery": "exactly-once", "properties": [], "instance": name,
                             **self.changes.get("kafka", {})}}
        if self.origin.ca_file:
            changes["cognigy"] = {"ca_file": self.origin.ca_file}
        self.workers.append(Worker(self.path, self.kafka, self.topics, self.origin, name=name, under=pinned(),
                                   log={"level": "info"}, **changes))
        return self.workers[-1]

    def start(self, count=1):
        for _ in range(count):
            self.launch().wait_ready()

        def settled():
            return sum(worker.owned(self.topics.requests) for worker in self.workers) == self.topics.partitions
        wait_until(settled, PATIENCE, "the workers to share the partitions")
        return self

    def stop(self):
        for worker in self.workers:
            worker.stop_clean()

    def ask(self, count):
        """Writes that many requests while the workers stand still, so that they find them all at once."""
        prefix = uuid.uuid4().hex[:8]
        records = [{"key": f"{prefix}-{n}".encode(), "value": request(f"{prefix}-{n}", metadata={"caller": f"c{n}"})}
                   for n in range(count)]
        for worker in self.workers:
            worker.freeze()
        produce(self.kafka.bootstrap, self.topics.requests, records)
        for worker in self.workers:
            worker.thaw()

    def cpu_seconds(self):
        return sum(worker.cpu_seconds() for worker in self.workers)

    def outcomes(self):
        return sum(worker.metric("handoffd_outcomes_total") for worker in self.workers)

    def wait_triggers(self, count):
        """Until the origin has seen that many; returns (how many, when the last came, Unix us, CPU seconds so far)."""
        def enough():
            for worker in self.workers:
                worker.check_alive()
            time.sleep(POLL_SECONDS)
            book = self.origin.book()
            return (book["triggers"], book["last"], self.cpu_seconds()) if book["triggers"] >= count else None
        return wait_until(enough, PATIENCE, f"{count} triggers")

    def wait_committed(self, outcomes):
        """CPU seconds when that many were committed. Looking costs the worker something, too: so the first look comes
        when it should be done, and what it costs does not count."""
        time.sleep(COMMIT_SECONDS)

        def committed():
            used = self.cpu_seconds()
            return used if self.outcomes() >= outcomes else None
        return wait_until(committed, PATIENCE, "the outcomes to be committed")

    def flood(self, warm_up, count):
        """Measured from the end of the warm-up, which opens the connections, until all is committed."""
        triggers, outcomes = self.origin.book()["triggers"], self.outcomes()
        self.ask(warm_up + count)
        first, begin, cpu = self.wait_triggers(triggers + warm_up)
        last, end, _ = self.wait_triggers(triggers + warm_up + count)
        used = self.wait_committed(outcomes + warm_up + count)
        done = max(1, last - first)
        return Run((used - cpu) / done * 1e6, done / max(1e-3, (end - begin) / 1e6))

    def work_off(self, warm_up, seconds):
        """Measured for that long while it has more to do than that takes."""
        before = self.origin.book()["triggers"]
        first, begin, cpu = self.wait_triggers(before + warm_up)
        time.sleep(seconds)
        last, end, used = self.wait_triggers(first + 1)
        return Run((used - cpu) / (last - first) * 1e6, (last - first) / (end - begin) * 1e6)


def yardstick(origin, in_flight, count, token_bytes=SHORT):
    done = subprocess.run([*pinned(), binary("tests/yardstick"), origin.base_url, str(in_flight), str(count),
                           "a" * token_bytes, *([origin.ca_file] if origin.ca_file else [])],
                          stdout=subprocess.PIPE, text=True, check=True, timeout=PATIENCE)
    result = json.loads(done.stdout)
    return Run(result["cpu_us_per_handoff"], result["handoffs"] / result["seconds"])
