"""handoffctl verify on Apache Kafka: what workers did, and what only a hand that breaks things can do."""
import json
import pathlib
import re
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from conftest import start_kafka, stop_kafka
from lib import (Kafka, Topics, Worker, binary, create_topics, free_port, group_offsets, libconfig, produce, read_all, request,
                 wait_until)
from lib.worker import samples

QUIET = {"done": 0, "pending": 0, "overdue": 0, "lost": 0, "doubled": 0, "contradictory": 0, "unknown": 0}


class Pool:
    """Topics of its own on Apache Kafka, workers under exactly-once, and verify's eye on them."""

    def __init__(self, folder, bootstrap, simulator):
        self.folder, self.bootstrap, self.simulator = folder, bootstrap, simulator
        self.topics = Topics.unique()
        create_topics(bootstrap, {name: self.topics.partitions for name in self.topics.all()})
        kafka = {"brokers": bootstrap, "group": self.topics.group, "requests": [self.topics.requests],
                 "retry": self.topics.retry, "outcomes": self.topics.outcomes, "dead_letters": self.topics.dead_letters}
        self.config = folder / "verify.conf"
        self.config.write_text(f"kafka = {libconfig(kafka)};\n")

    def worker(self, name, ready=True, **changes):
        started = Worker(self.folder, Kafka(self.bootstrap, "apache"), self.topics, self.simulator, name=name,
                         env={"HANDOFFD_KAFKA_DELIVERY": "exactly-once", "HANDOFFD_KAFKA_INSTANCE": name}, **changes)
        return started.wait_ready() if ready else started

    def request(self, count, **extra):
        """Writes requests h0, h1, ... and returns their (partition, offset)."""
        return produce(self.bootstrap, self.topics.requests,
                       [{"key": b"s%d" % n, "value": request(f"s{n}", handoffId=f"h{n}"), **extra}
                        for n in range(count)])

    def origin(self, place):
        return f"{self.topics.requests}/{place[0]}/{place[1]}"

    def outcome(self, place, status="completed", reason="ok", **extra):
        return produce(self.bootstrap, self.topics.outcomes, [{
            "key": b"s", "value": b"{}", "headers": {"handoff-origin": self.origin(place), "handoff-status": status,
                                                     "handoff-reason": reason}, **extra}])[0]

    def retry(self, place, not_before):
        return produce(self.bootstrap, self.topics.retry, [{
            "key": b"s", "value": request("s"), "partition": place[0],
            "headers": {"handoff-id": "h", "handoff-attempt": "2", "handoff-origin": self.origin(place),
                        "handoff-not-before": str(not_before)}}])[0]

    def commit(self, topic, place):
        """The group's offset behind the record, as if it were done."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.topics.group, "log_level": 0})
        consumer.commit(offsets=[TopicPartition(topic, place[0], place[1] + 1)], asynchronous=False)
        consumer.close()

    def run(self, *arguments, timeout=100):
        return subprocess.run([binary("handoffctl"), "verify", "-c", self.config, *arguments], capture_output=True,
                              text=True, timeout=timeout, check=False)

    def verify(self, *arguments):
        """(exit code, counts that are not 0, {origin: finding})"""
        done = self.run("--json", *arguments)
        assert done.returncode in (0, 3) and done.stderr == "", done.stderr
        report = json.loads(done.stdout)
        assert report["counts"].keys() == QUIET.keys() and report["records"] == sum(report["counts"].values())
        assert report["clean"] == (done.returncode == 0) == (report["findings"] == [])
        return (done.returncode, {name: n for name, n in report["counts"].items() if n},
                {finding["origin"]: finding for finding in report["findings"]})


@pytest.fixture
def pool(folder, apache, simulator):
    return Pool(folder, apache.bootstrap, simulator)


def now_ms():
    return int(time.time() * 1000)


@pytest.mark.sandbox(script="latency 2ms\nlock every=10 for=1s\n")
def test_clean_run(pool):
    assert pool.verify() == (0, {}, {})
    pool.request(300)
    assert pool.verify() == (0, {"pending": 300}, {}), "nothing was consumed yet"
    w = pool.worker("a")
    read_all(pool.bootstrap, pool.topics.outcomes, 300)
    assert pool.verify() == (0, {"done": 300}, {})
    cancel = {"key": b"nobody", "value": json.dumps({"type": "cancel", "sessionId": "nobody"}).encode()}
    produce(pool.bootstrap, pool.topics.requests, [cancel, {"key": b"x", "value": b"no json"}])
    read_all(pool.bootstrap, pool.topics.outcomes, 301)
    read_all(pool.bootstrap, pool.topics.retry, 1)
    w.stop_clean()
    assert pool.verify() == (0, {"done": 301}, {}), "a cancel has no outcome, what cannot be read has one"


def test_outcomes_count_whatever_the_group_says(pool):
    pool.request(5)
    pool.worker("a")
    read_all(pool.bootstrap, pool.topics.outcomes, 5)
    code, counts, _ = pool.verify("-g", f"{pool.topics.group}-other")
    assert (code, counts) == (0, {"done": 5}), "an outcome is one, whoever wrote it"


def test_second_outcome(pool):
    places = pool.request(4)
    for place in places[:3]:
        pool.outcome(place)
    pool.outcome(places[0])
    pool.outcome(places[1], "failed", "upstream.server_error")
    code, counts, findings = pool.verify()
    assert (code, counts) == (3, {"done": 1, "pending": 1, "doubled": 1, "contradictory": 1})
    assert {origin: (f["state"], f["handoffId"]) for origin, f in findings.items()} == {
        pool.origin(places[0]): ("doubled", "h0"), pool.origin(places[1]): ("contradictory", "h1")}
    done = pool.run()
    assert done.returncode == 3
    assert f"doubled  {pool.origin(places[0])}  h0  " in done.stdout
    assert f"contradictory  {pool.origin(places[1])}  h1  " in done.stdout


def test_offset_committed_beyond_a_request_without_outcome(pool):
    places = pool.request(40)
    last = max(place for place in places if place[0] == places[0][0])
    pool.commit(pool.topics.requests, (last[0], last[1] - 1))
    skipped = {pool.origin(place) for place in places if place[0] == last[0] and place[1] < last[1]}
    assert len(skipped) > 1
    for origin in sorted(skipped)[1:]:
        _, partition, offset = origin.rsplit("/", 2)
        pool.outcome((int(partition), int(offset)))
    code, counts, findings = pool.verify()
    assert (code, counts) == (3, {"lost": 1, "done": len(skipped) - 1, "pending": 40 - len(skipped)})
    assert list(findings) == sorted(skipped)[:1] and findings[sorted(skipped)[0]]["state"] == "lost"


def test_only_the_first_hundred_are_named(pool):
    places = pool.request(120, partition=0)
    pool.commit(pool.topics.requests, max(places))
    done = pool.run()
    assert done.returncode == 3 and done.stdout.endswith("\nand 20 more\n")
    assert done.stdout.count(f"\nlost  {pool.topics.requests}/0/") == 100


def test_parked_and_overdue_retries(pool):
    places = pool.request(4, partition=0)
    pool.commit(pool.topics.requests, max(places))
    first = pool.retry(places[0], now_ms() + 600000)
    pool.retry(places[1], now_ms() - 30000)
    pool.retry(places[2], now_ms() - 90000)
    pool.retry(places[3], now_ms() - 90000)
    pool.retry(places[3], now_ms() + 600000)
    code, counts, findings = pool.verify()
    assert (code, counts) == (3, {"pending": 3, "overdue": 1})
    assert list(findings) == [pool.origin(places[2])]
    pool.commit(pool.topics.retry, first)
    code, counts, findings = pool.verify()
    assert (code, counts) == (3, {"pending": 2, "overdue": 1, "lost": 1})
    assert findings[pool.origin(places[0])]["state"] == "lost"


def test_request_that_nobody_reads_is_overdue(pool):
    (place, *_) = pool.request(1, timestamp=now_ms() - 90000)
    code, counts, findings = pool.verify()
    assert (code, counts) == (3, {"overdue": 1}) and list(findings) == [pool.origin(place)]


@pytest.mark.sandbox(script="on fetch session=s0 reply 409 header=\"Retry-After: 300\" times=9\n"
                            "on fetch session=s1 delay 10s times=9\n")
def test_done_map_tells_what_is_done_above_the_base(pool):
    places = pool.request(40, partition=0)
    assert [place[1] for place in places[:2]] == [0, 1]
    w = pool.worker("a")
    read_all(pool.bootstrap, pool.topics.outcomes, 38)
    w.wait_idle()
    w.kill()
    assert group_offsets(pool.bootstrap, pool.topics.group, pool.topics.requests, 1)[0] <= 1
    assert pool.verify() == (0, {"done": 38, "pending": 2}, {})
    # Without their outcomes those above the base would be lost: the map says that they are done.
    empty = f"{pool.topics.outcomes}.empty"
    create_topics(pool.bootstrap, {empty: 1})
    pool.config.write_text(pool.config.read_text().replace(pool.topics.outcomes, empty))
    code, counts, _ = pool.verify()
    assert (code, counts) == (3, {"lost": 38, "pending": 2})


@pytest.fixture
def eager(folder, simulator):
    """A broker of its own that looks for what retention removes twice a second; it keeps outcomes for ten minutes."""
    directory = folder / "kafka"
    settings = ("log.retention.check.interval.ms=500", "log.initial.task.delay.ms=500", "log.retention.minutes=10")
    try:
        yield Pool(folder, start_kafka(directory, settings=settings), simulator)
    finally:
        stop_kafka(directory)


def low_of(bootstrap, topic, partition):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "log_level": 0})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)[0]
    finally:
        consumer.close()


@pytest.mark.limit(180)
def test_outcomes_that_retention_removed(eager):
    old = now_ms() - 900000
    # The young ones are written first: in the same segment they keep the old ones, whenever the broker looks.
    young = eager.request(2, partition=0)
    places = eager.request(3, partition=0, timestamp=old)
    (partition, _), *_ = [eager.outcome(place, timestamp=old) for place in places]
    eager.commit(eager.topics.requests, max(places))
    wait_until(lambda: low_of(eager.bootstrap, eager.topics.outcomes, partition) == 3, 60, "the outcomes to be removed")
    eager.outcome(young[0], timestamp=now_ms() - 60000)
    code, counts, findings = eager.verify()
    assert (code, counts) == (3, {"unknown": 3, "done": 1, "lost": 1})
    assert list(findings) == [eager.origin(young[1])], "younger than the oldest outcome there is"


@pytest.mark.long
@pytest.mark.limit(150)
@pytest.mark.sandbox(script="latency 10ms\nlock every=15 for=1s\n")
def test_while_workers_are_killed_nothing_is_called_broken(pool):
    count = 1500
    w = pool.worker("a")

    def load():
        for n in range(0, count, 30):
            produce(pool.bootstrap, pool.topics.requests,
                    [{"key": b"s%d" % m, "value": request(f"s{m}", handoffId=f"h{m}")} for m in range(n, n + 30)])
            time.sleep(0.2)
    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    begin, looks, killed = time.monotonic(), 0, 0
    while thread.is_alive():
        code, _, findings = pool.verify()
        assert (code, findings) == (0, {})
        looks += 1
        if time.monotonic() - begin > 4 * (killed + 1) and killed < 2:
            w.kill()
            killed += 1
            w = pool.worker("a", ready=False)
    assert looks > 3 and killed > 0
    read_all(pool.bootstrap, pool.topics.outcomes, count, timeout=60)
    assert pool.verify() == (0, {"done": count}, {})
    w.stop_clean()


def test_open_transaction_is_waited_for(pool):
    """The outcome is there, the offset is committed, and the transaction's end has not reached the outcomes yet."""
    (place, *_) = pool.request(1)
    producer = Producer({"bootstrap.servers": pool.bootstrap, "transactional.id": pool.topics.group, "log_level": 0})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(pool.topics.outcomes, b"{}", headers={
        "handoff-origin": pool.origin(place), "handoff-status": "completed", "handoff-reason": "ok"})
    producer.flush(30)
    pool.commit(pool.topics.requests, place)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(pool.verify()), daemon=True)
    thread.start()
    thread.join(4)
    assert not answers, "it waits"
    producer.commit_transaction(30)
    thread.join(60)
    assert answers == [(0, {"done": 1}, {})]


def test_what_cannot_be_read_is_said(pool):
    pool.config.write_text(pool.config.read_text().replace(pool.topics.outcomes, "no.such.topic"))
    done = pool.run()
    assert (done.returncode, done.stdout) == (1, "") and "no.such.topic" in done.stderr
    done = pool.run("--frobnicate")
    assert (done.returncode, done.stdout) == (2, "") and "--frobnicate" in done.stderr
    done = subprocess.run([binary("handoffctl"), "verify", "-b", "127.0.0.1:1"], capture_output=True, text=True,
                          timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "") and "127.0.0.1:1" in done.stderr


@pytest.mark.sandbox(script="latency 20ms\n")
def test_wait_looks_until_nothing_is_pending(pool):
    pool.request(300)
    with subprocess.Popen([binary("handoffctl"), "verify", "-c", pool.config, "--wait"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as watch:
        try:
            assert "pending 300" in watch.stdout.readline()
            w = pool.worker("a")
            rest = watch.stdout.read()  # to its end
            assert watch.wait(30) == 0
        finally:
            watch.kill()
    assert dict(line.rsplit(maxsplit=1) for line in rest.splitlines() if line.startswith(("done ", "pending "))
                and "," not in line) == {"done": "300", "pending": "0"}
    w.stop_clean()


MILLION = 1_000_000


@pytest.mark.long
@pytest.mark.limit(400)
def test_a_million_requests_in_bounded_memory(pool):
    producer = Producer({"bootstrap.servers": pool.bootstrap, "log_level": 0, "linger.ms": 50, "acks": 1,
                         "queue.buffering.max.messages": 1000000})
    partitions = pool.topics.partitions
    for n in range(MILLION):
        place = n % partitions, n // partitions
        for topic, value, headers in (
                (pool.topics.requests, request(f"s{n}", handoffId=f"h{n}"), None),
                (pool.topics.outcomes, b"{}", {"handoff-origin": pool.origin(place), "handoff-status": "completed",
                                               "handoff-reason": "ok"})):
            while True:
                try:
                    producer.produce(topic, value, key=b"s%d" % n, partition=place[0], headers=headers)
                    break
                except BufferError:
                    producer.poll(0.1)
        if n % 1000 == 0:
            producer.poll(0)
    assert producer.flush(120) == 0
    for partition in range(partitions):
        pool.commit(pool.topics.requests, (partition, MILLION // partitions - 1))
    begin = time.monotonic()
    peak = 0  # not what wait4() tells: that begins with what the process was forked from had
    with tempfile.TemporaryFile("w+") as report, tempfile.TemporaryFile("w+") as shown:
        with subprocess.Popen([binary("handoffctl"), "verify", "-c", pool.config], stdout=report, stderr=shown) as verify:
            while verify.poll() is None:
                status = pathlib.Path(f"/proc/{verify.pid}/status").read_text(encoding="ascii")
                peak = max([peak, *map(int, re.findall(r"VmHWM:\s+(\d+) kB", status))])
                time.sleep(0.05)
        report, shown = (file.seek(0) or file.read() for file in (report, shown))
    print(f"{time.monotonic() - begin:.1f} s, {peak / 1024:.0f} MiB")
    assert verify.returncode == 0 and ["done", str(MILLION)] in [line.split() for line in report.splitlines()], report
    assert 0 < peak / 1024 < 150
    assert "offsets read" in shown, "how far it is, is told meanwhile"


@pytest.mark.sandbox(script="latency 5ms\n")
def test_watch_is_a_monitor(pool):
    """It runs until it is told to end, and what it found last is there for Prometheus."""
    port = free_port()

    def get(path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""
        except OSError:
            return 0, ""

    def found(state):
        values = {dict(labels).get("state"): value for (name, labels), value in samples(get("/metrics")[1]).items()
                  if name == "handoffctl_verify_records"}
        return values.get(state)
    pool.request(20)
    with subprocess.Popen([binary("handoffctl"), "verify", "-c", pool.config, "--watch", "--every", "0.5", "--listen",
                           f"127.0.0.1:{port}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
        try:
            wait_until(lambda: found("pending") == 20, 30, "20 pending")
            w = pool.worker("a")
            wait_until(lambda: found("done") == 20, 60, "20 done")
            assert found("pending") == found("lost") == 0 and get("/healthz") == (200, "ok\n")
            looks = samples(get("/metrics")[1])[("handoffctl_verify_looks_total", frozenset({("result", "ok")}))]
            assert looks >= 2 and get("/nothing")[0] == 404
            watch.terminate()
            out, err = watch.communicate(timeout=30)
            assert watch.returncode == 0 and str(port) in err and "pending 20" in out.splitlines()[0]
        finally:
            watch.kill()
    w.stop_clean()
