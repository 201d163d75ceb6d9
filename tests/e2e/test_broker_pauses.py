"""The only broker stands still under load, for long or often, or its connections are cut in the middle of commits: no
worker ends, no outcome is lost or doubled.
"""
import os
import pathlib
import random
import re
import shutil
import signal
import tempfile
import time

import pytest

from conftest import start_kafka, stop_kafka
from lib import Kafka, Load, Pool, wait_until
from lib.proxy import END_TRANSACTION, CuttingProxy
from test_exactly_once import MIXED

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def broker_alone():
    """A broker of this file's own, which clients reach through `proxy`; `pause(seconds)` stops it for a while."""
    parent = pathlib.Path(tempfile.mkdtemp(prefix="handoff-kafka-"))
    directory = parent / "kafka"
    real = []
    proxy = CuttingProxy(lambda: real[0] if real else port_in(directory))
    try:
        direct = start_kafka(directory, settings=[
            f"advertised.listeners=PLAINTEXT://127.0.0.1:{proxy.port}",
            "transaction.abort.timed.out.transaction.cleanup.interval.ms=1000"])  # 10 s by default
        real.append(int(direct.rsplit(":", 1)[1]))
        pid = int((directory / "broker-1" / "pid").read_text())

        def pause(seconds):
            os.kill(pid, signal.SIGSTOP)
            try:
                time.sleep(seconds)
            finally:
                os.kill(pid, signal.SIGCONT)
        kafka = Kafka(f"127.0.0.1:{proxy.port}", "apache")
        kafka.pause, kafka.proxy = pause, proxy
        yield kafka
    finally:
        stop_kafka(directory)
        proxy.close()
        shutil.rmtree(parent, ignore_errors=True)


def port_in(directory):
    """While the broker starts: it calls itself through the proxy."""
    text = (directory / "broker-1" / "broker.properties").read_text()
    return int(re.search(r"^listeners=PLAINTEXT://127\.0\.0\.1:(\d+)", text, re.M).group(1))


def transactions(workers):
    return {result: sum(w.metric("handoffd_transactions_total", result=result) for w in workers)
            for result in ("committed", "aborted", "lost", "unknown", "fenced")}


def judge(load, workers):
    load.judge(timeout=150)
    print(transactions(workers))
    for w in workers:
        w.check_alive()
        w.stop_clean(60)


@pytest.mark.limit(240)
@pytest.mark.sandbox(script=MIXED)
def test_coordinator_times_transactions_out(folder, broker_alone, simulator):
    pool = Pool(folder, broker_alone, simulator)
    short = {"kafka": {"properties": ["transaction.timeout.ms=3000", "session.timeout.ms=6000"], "commit_interval_ms": 1}}
    workers = [pool.start(name, **short) for name in ("a", "b")]
    load = Load(pool, 2000, 60)
    for seconds in (4, 9):  # the second one is beyond the session time-out, too
        time.sleep(3)
        broker_alone.pause(seconds)
    judge(load, workers)


@pytest.mark.limit(240)
@pytest.mark.sandbox(script=MIXED)
def test_frozen_again_and_again_beyond_the_transaction_timeout(folder, broker_alone, simulator):
    """The coordinator ends such a transaction by fencing its producer: no sign of a twin, however often."""
    pool = Pool(folder, broker_alone, simulator)
    w = pool.start("a", kafka={"properties": ["transaction.timeout.ms=2000", "session.timeout.ms=30000"],
                               "commit_interval_ms": 1})
    load = Load(pool, 2400, 100)
    for _ in range(4):
        time.sleep(1.5)
        w.freeze()
        time.sleep(4.5)
        w.thaw()
    judge(load, [w])


@pytest.mark.limit(240)
@pytest.mark.sandbox(script=MIXED)
def test_broker_stutters(folder, broker_alone, simulator):
    pool = Pool(folder, broker_alone, simulator)
    workers = [pool.start(name, kafka={"commit_interval_ms": 1}) for name in ("a", "b")]
    load = Load(pool, 1500, 60)
    dice = random.Random(4)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        broker_alone.pause(dice.uniform(0.1, 0.8))
        time.sleep(dice.uniform(0.05, 0.4))
    judge(load, workers)


@pytest.mark.limit(240)
@pytest.mark.sandbox(script=MIXED)
def test_connections_cut_during_commits(folder, broker_alone, simulator):
    pool = Pool(folder, broker_alone, simulator)
    workers = [pool.start(name) for name in ("a", "b")]
    load = Load(pool, 1200, 60)
    proxy = broker_alone.proxy
    proxy.share = 0.1
    time.sleep(20)
    proxy.share = 0
    judge(load, workers)
    assert proxy.requests_lost > 5 and proxy.replies_lost > 5


@pytest.mark.limit(240)
@pytest.mark.sandbox(script=MIXED)
@pytest.mark.parametrize("lose_request", [True, False])
def test_commit_of_unknown_fate(folder, broker_alone, simulator, lose_request):
    """The coordinator has given the transaction up, or has committed it, when the client can ask again."""
    pool = Pool(folder, broker_alone, simulator)
    w = pool.start("a", kafka={"properties": ["transaction.timeout.ms=3000", "session.timeout.ms=30000"]})
    load = Load(pool, 1200, 60)
    time.sleep(4)
    broker_alone.proxy.strike(END_TRANSACTION, lose_request, seconds=8)
    wait_until(lambda: broker_alone.proxy.aim is None, 10, "a commit to be cut")
    load.judge(timeout=150)
    print(transactions([w]))
    if lose_request:
        assert any("asking what is committed" in line["message"] for line in w.log())
    w.stop_clean(60)


@pytest.mark.limit(240)
@pytest.mark.sandbox(script="latency 1ms\n")
def test_batches_too_large_for_a_topic_far_away(folder, broker_alone, simulator):
    """Sent one by one, a batch of that many would outlast its transaction's time-out."""
    pool = Pool(folder, broker_alone, simulator, partitions=1, own={"outcomes": {"max.message.bytes": "8000"}})
    pool.ask(range(3000))
    broker_alone.proxy.produce_delay = 0.025
    try:
        w = pool.start("a")
        pool.judge(3000, timeout=120)
    finally:
        broker_alone.proxy.produce_delay = 0
    print(transactions([w]))
    w.stop_clean(60)
