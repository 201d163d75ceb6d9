"""What happens to topics behind the workers' backs: they grow, their records go, they are made anew.

Nothing is skipped without a word, and no worker ends.
"""
import time

import pytest

from lib import (Pool, delete_records, group_offsets, grow_topic, read_all, recreate_topic, set_group_offset,
                 wait_until)

QUICK = "latency 5ms\nlock every=7 for=1s\n"


@pytest.fixture
def pool(folder, apache, simulator):
    return Pool(folder, apache, simulator, partitions=2)


def errors(w, words):
    return [line["message"] for line in w.log() if line["level"] == "error" and words in line["message"]]


def committed(pool, partition=0):
    return group_offsets(pool.bootstrap, pool.topics.group, pool.topics.requests, 2)[partition]


@pytest.mark.long
@pytest.mark.limit(180)
@pytest.mark.sandbox(script=QUICK)
def test_topics_grow_retry_first(pool):
    w = pool.start("a")
    pool.ask(range(0, 100))
    grow_topic(pool.bootstrap, pool.topics.retry, 4)
    grow_topic(pool.bootstrap, pool.topics.requests, 4)
    pool.ask(range(100, 200), partition=3)
    pool.judge(200)
    assert {o.json()["source"]["partition"] for o in read_all(pool.bootstrap, pool.topics.outcomes)} >= {3}
    wait_until(lambda: w.get("/readyz")[0] == 200, 30, "it to be ready")
    w.stop_clean()


@pytest.mark.long
@pytest.mark.limit(180)
@pytest.mark.sandbox(script=QUICK)
def test_request_topic_grows_alone(pool):
    w = pool.start("a")
    pool.ask(range(0, 50))
    read_all(pool.bootstrap, pool.topics.outcomes, 50)
    grow_topic(pool.bootstrap, pool.topics.requests, 4)
    wait_until(lambda: w.get("/readyz")[0] == 503, 30, "the worker to see it")
    assert "(4 partitions)" in w.get("/readyz")[1] and "(2 partitions)" in w.get("/readyz")[1]
    pool.ask(range(50, 150))
    time.sleep(3)
    assert len(read_all(pool.bootstrap, pool.topics.outcomes)) == 50, "nothing is started meanwhile"
    grow_topic(pool.bootstrap, pool.topics.retry, 4)
    pool.judge(150)
    wait_until(lambda: w.get("/readyz")[0] == 200, 30, "it to be ready")
    w.stop_clean()


@pytest.mark.sandbox(script=QUICK)
def test_retention_overtakes_the_reader(pool):
    w = pool.start("a")
    pool.ask(range(0, 20), partition=0)
    read_all(pool.bootstrap, pool.topics.outcomes, 20)
    w.stop_clean()
    base = committed(pool)
    pool.ask(range(1000, 1060), partition=0)  # will be gone
    pool.ask(range(20, 50), partition=0)
    delete_records(pool.bootstrap, pool.topics.requests, 0, base + 60)
    w = pool.start("b")
    pool.judge(50, verify=False)
    assert pool.verify() == {"done": 30}, "what is gone cannot be judged"
    assert errors(w, "60 records were removed by the topic's retention")
    assert w.metric("handoffd_records_lost_total", topic=pool.topics.requests) == 60
    w.stop_clean()
    assert committed(pool) == base + 60 + 30


@pytest.mark.sandbox(script=QUICK)
def test_topic_recreated_with_an_offset_beyond_its_end(pool):
    w = pool.start("a")
    pool.ask(range(0, 20), partition=0)
    read_all(pool.bootstrap, pool.topics.outcomes, 20)
    w.stop_clean()
    recreate_topic(pool.bootstrap, pool.topics.requests, 2)
    set_group_offset(pool.bootstrap, pool.topics.group, pool.topics.requests, 0, 500)
    pool.ask(range(20, 50), partition=0)
    w = pool.start("b")
    pool.judge(50, verify=False)  # the offsets of two topics are one to it
    assert errors(w, "the topic was recreated")
    w.stop_clean()
    assert committed(pool) == 30


@pytest.mark.sandbox(script="on trigger session=s0 hang times=1\n")
def test_topic_recreated_under_a_done_map(pool):
    w = pool.start("a", cognigy={"trigger_timeout_ms": 60000})
    pool.ask([0], partition=0)
    pool.ask(range(1, 200), partition=0)
    read_all(pool.bootstrap, pool.topics.outcomes, 199)
    w.wait_idle()
    w.kill()
    recreate_topic(pool.bootstrap, pool.topics.requests, 2)
    pool.ask(range(200, 250), partition=0)
    w = pool.start("b")
    pool.ask(range(250, 500), partition=0)
    outcomes = read_all(pool.bootstrap, pool.topics.outcomes, 199 + 300)
    assert sorted({o.json()["handoffId"] for o in outcomes}) == sorted(f"h{n}" for n in range(1, 500))
    assert len(outcomes) == 499
    w.stop_clean()


@pytest.mark.long
@pytest.mark.limit(180)
@pytest.mark.sandbox(script=QUICK)
def test_topic_recreated_under_a_worker(pool):
    w = pool.start("a")
    pool.ask(range(0, 100), partition=0)
    read_all(pool.bootstrap, pool.topics.outcomes, 100)
    w.wait_idle()
    recreate_topic(pool.bootstrap, pool.topics.requests, 2)
    pool.ask(range(100, 150), partition=0)
    pool.judge(150, verify=False)
    w.check_alive()
    w.stop_clean()
    assert committed(pool) == 50
