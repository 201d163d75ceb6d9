"""What the measurements share: a broker, a Cognigy simulator and workers in a folder of their own."""
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
# pylint: disable=wrong-import-position
from lib import PROJECT, Kafka, Process, Sandbox, Topics, Worker, binary, script  # noqa: E402
from lib.kafka import create_topics  # noqa: E402


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


__all__ = ["PROJECT", "Process", "Stage", "Worker", "binary", "folder", "script", "start_apache"]
