"""Brokers die under exactly-once: no worker ends, no outcome is lost or doubled. Three brokers of Apache Kafka."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from conftest import start_kafka, stop_kafka
from lib import Kafka, Load, Pool, script
from test_exactly_once import MIXED

# A killed KRaft broker is noticed after 9 s by default; nothing fails over before.
QUICK = ["broker.session.timeout.ms=3000", "broker.heartbeat.interval.ms=500"]
KILLS = 2
# The default session time-out: shorter ones turn every broker failure into a lost assignment.
PATIENT = {"HANDOFFD_KAFKA_PROPERTIES": "session.timeout.ms=15000"}
APART = 25  # seconds: less than the time a cluster needs to heal is a test of the cluster


@pytest.fixture
def cluster():
    parent = pathlib.Path(tempfile.mkdtemp(prefix="handoff-kafka-"))
    directory = parent / "kafka"
    try:
        kafka = Kafka(start_kafka(directory, 3, QUICK), "apache")
        kafka.directory = directory
        yield kafka
    finally:
        stop_kafka(directory)
        shutil.rmtree(parent, ignore_errors=True)


def broker(kafka, verb, number):
    subprocess.run([script("kafka"), verb, str(number), "--dir", str(kafka.directory)], capture_output=True, timeout=90,
                   check=True)


def nothing_happened(load, workers, timeout):
    """All is handed over, once, and no worker has ended."""
    load.judge(timeout=timeout)
    for w in workers:
        w.check_alive()
        w.stop_clean(60)


@pytest.mark.long
@pytest.mark.limit(400)
@pytest.mark.sandbox(script=MIXED)
def test_brokers_killed_under_load(folder, cluster, simulator):
    pool = Pool(folder, cluster, simulator, **{"min.insync.replicas": "2"})
    workers = [pool.start(name, env=PATIENT) for name in ("a", "b")]
    load = Load(pool, 60 * (KILLS * APART), 60)
    for number in range(1, KILLS + 1):
        time.sleep(APART - 15)
        broker(cluster, "kill", number)
        time.sleep(10)
        broker(cluster, "restart", number)
        time.sleep(5)
    nothing_happened(load, workers, 200)


@pytest.mark.long
@pytest.mark.limit(400)
@pytest.mark.sandbox(script=MIXED)
def test_all_brokers_stand_still_for_long(folder, cluster, simulator):
    """Beyond every time-out there is: of sessions (15 s), transactions (20 s), polls (60 s)."""
    pool = Pool(folder, cluster, simulator, **{"min.insync.replicas": "2"})
    workers = [pool.start(name, env=PATIENT) for name in ("a", "b")]
    load = Load(pool, 60 * 110, 60)
    time.sleep(8)
    pids = [int((cluster.directory / f"broker-{number}" / "pid").read_text()) for number in (1, 2, 3)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(75)
        for w in workers:
            assert w.get("/healthz")[0] == 200
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    nothing_happened(load, workers, 250)


@pytest.mark.long
@pytest.mark.limit(400)
@pytest.mark.sandbox(script=MIXED)
def test_coordinator_dies_while_members_stand_still(folder, cluster, simulator):
    """Its successor knows a static member under an older id, and fences it as if it had a twin: it has none, and
    joins anew."""
    pool = Pool(folder, cluster, simulator, **{"min.insync.replicas": "2"})
    workers = [pool.start(name, kafka={"static_membership": True}, env={"HANDOFFD_KAFKA_PROPERTIES": "session.timeout.ms=6000"})
               for name in ("a", "b", "c")]
    load = Load(pool, 60 * 3 * (APART + 10), 60)
    for number in (1, 2, 3):  # one of them is the coordinator
        time.sleep(APART - 10)
        for w in workers[:2]:
            w.freeze()
        broker(cluster, "kill", number)
        time.sleep(10)
        for w in workers[:2]:
            w.thaw()
        broker(cluster, "restart", number)
        time.sleep(10)
    nothing_happened(load, workers, 200)
