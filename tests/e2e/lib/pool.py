"""A pool of workers under exactly-once, a load while something disturbs it, and the verdict on what came of it."""
import collections
import json
import os
import subprocess
import threading
import time

from lib.kafka import Kafka, Topics, create_topics, produce, read_all, request
from lib.process import binary
from lib.worker import Worker, config_text

EXACTLY_ONCE = {"HANDOFFD_KAFKA_DELIVERY": "exactly-once"}


class Pool:
    """Topics of its own, and workers by name: the name is the instance."""

    def __init__(self, folder, kafka, simulator, partitions=4, own=None, **topic_config):
        """`topic_config`: of all four topics; `own`: of single ones, as {"outcomes": {KEY: VALUE}}."""
        self.folder, self.simulator, self.bootstrap = folder, simulator, kafka.bootstrap
        self.topics = Topics.unique(partitions)
        its = {getattr(self.topics, kind): config for kind, config in (own or {}).items()}
        create_topics(kafka.bootstrap, {name: partitions for name in self.topics.all() if name not in its},
                      **topic_config)
        for name, config in its.items():
            create_topics(kafka.bootstrap, {name: partitions}, **{**topic_config, **config})

    def start(self, name, ready=True, env=None, **changes):
        kafka = {"instance": name, **changes.pop("kafka", {})}
        # With the default of three tries, a run in twenty meets each 40th update's 500 three times in one handoff.
        changes["retry"] = {"budget_server": 20, **changes.get("retry", {})}
        w = Worker(self.folder, Kafka(self.bootstrap, "apache"), self.topics, self.simulator, name=name, kafka=kafka,
                   env={**EXACTLY_ONCE, "HANDOFFD_KAFKA_INSTANCE": name,
                        "HANDOFFD_KAFKA_STATIC_MEMBERSHIP": "true" if kafka.get("static_membership") else "false",
                        **(env or {})}, **changes)
        return w.wait_ready() if ready else w

    def ask(self, numbers, **place):
        """Requests of those numbers; `place`: partition."""
        return produce(self.bootstrap, self.topics.requests, [{**keyed(n), **place} for n in numbers])

    def ask_in_turn(self, numbers):
        """Requests of those numbers, spread evenly over the partitions."""
        return produce(self.bootstrap, self.topics.requests,
                       [{**keyed(n), "partition": n % self.topics.partitions} for n in numbers])

    def verify(self):
        """What `handoffctl verify` counts, without the zeros."""
        names = self.topics
        kafka = {"brokers": self.bootstrap, "group": names.group, "requests": [names.requests], "retry": names.retry,
                 "outcomes": names.outcomes, "dead_letters": names.dead_letters}
        config = self.folder / "verify.conf"
        config.write_text(config_text({"kafka": kafka}))
        done = subprocess.run([binary("handoffctl"), "verify", "--json", "-c", config], capture_output=True, text=True,
                              timeout=100, check=False)
        assert done.returncode in (0, 3) and done.stderr == "", done.stderr
        report = json.loads(done.stdout)
        assert (done.returncode == 0) == report["clean"]
        return {name: n for name, n in report["counts"].items() if n}

    def judge(self, count, timeout=120, statuses=("completed", "initiated"), name=None, verify=True):
        """Waits for `count` outcomes, notes the figures, and fails unless each request has one and no trigger was
        executed twice. `verify`: handoffctl's verdict is asked for, too. Returns the outcomes."""
        late = None
        try:
            outcomes = read_all(self.bootstrap, self.topics.outcomes, count, timeout=timeout)
        except AssertionError as error:
            late, outcomes = error, read_all(self.bootstrap, self.topics.outcomes)
        ids = collections.Counter(o.json()["handoffId"] for o in outcomes)
        book = self.simulator.book()
        note(name, requests=count, lost=count - len(ids), doubled=sum(ids.values()) - len(ids),
             sent_twice=book["sessionsTriggerSentTwice"], executed_twice=book["sessionsTriggeredTwice"],
             slowest_ms=max((o.json()["timing"]["totalMs"] or 0 for o in outcomes), default=0))
        assert late is None, late
        assert {key: n for key, n in ids.items() if n != 1} == {}, "each request has one outcome"
        assert len(ids) == count
        others = [o.json() for o in outcomes if o.json()["status"] not in statuses]
        assert not others, f"{len(others)} outcomes of another status, such as {others[0]}"
        assert book["sessionsTriggeredTwice"] == 0, "no trigger is executed twice"
        counts = self.verify() if verify else {"done": count}
        assert counts == {"done": count}, f"handoffctl verify says {counts}"
        return outcomes


def keyed(n):
    return {"key": f"s{n}".encode(), "value": request(f"s{n}", handoffId=f"h{n}")}


def note(name, **figures):
    """One line for the table of scripts/disturb."""
    path = os.environ.get("HANDOFF_DISTURB_RESULTS")
    if path:
        case = name or os.environ["PYTEST_CURRENT_TEST"].rsplit("::", 1)[-1].split(" ")[0].removeprefix("test_")
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"case": case, **figures}) + "\n")


class Load:
    """Requests at a steady rate while a disturbance goes on."""

    def __init__(self, pool, count, per_second):
        self.pool, self.count, self.trouble = pool, count, None
        self.thread = threading.Thread(target=self._run, args=(per_second,), daemon=True)
        self.thread.start()

    def _run(self, per_second):
        begin, step = time.monotonic(), max(1, per_second // 10)
        try:
            for n in range(0, self.count, step):
                self.pool.ask(range(n, min(n + step, self.count)))
                time.sleep(max(0, begin + (n + step) / per_second - time.monotonic()))
        except Exception as error:  # pylint: disable=broad-except
            self.trouble = error

    def judge(self, timeout=120, **options):
        self.thread.join(timeout)
        assert self.trouble is None, f"the load itself failed: {self.trouble}"
        return self.pool.judge(self.count, timeout, **options)
