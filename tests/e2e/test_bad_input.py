"""Broken configurations, topics, credentials, peers and records: one clear sentence, the right exit code, nothing lost."""
import subprocess
import time

import pytest

from lib import (Kafka, Topics, Worker, binary, config_text, create_topics, end_offsets, free_port, produce, read_all,
                 request, wait_until)

SECRET = "do-not-print-me"
GOOD = {
    "kafka": {"brokers": "127.0.0.1:1", "delivery": "at-least-once"},
    "cognigy": {"base_url": "http://127.0.0.1:1/api/v1", "client_id": "id", "client_secret": SECRET},
    "admin": {"listen": ""},
}


def handoffd(folder, text, *arguments, env=None):
    path = folder / "handoffd.conf"
    path.write_text(text)
    done = subprocess.run([binary("handoffd"), "-c", path, *arguments], capture_output=True, text=True, timeout=20,
                          env=env, check=False)
    assert SECRET not in done.stdout + done.stderr
    return done


def sections(**changes):
    return config_text({section: {**GOOD.get(section, {}), **changes.get(section, {})} for section in {**GOOD, **changes}})


BAD_CONFIGURATIONS = [
    ("retry = { base_delay = 5; };", ":1: ", "retry.base_delay"),
    ("retries = { };", ":1: ", "retries"),
    (sections(kafka={"partitions": "many"}), ":4: ", "kafka.partitions"),
    (sections(worker={"window": 1}), "", "worker.window"),
    (sections(kafka={"delivery": "at-most-once"}), "", "kafka.delivery"),
    (sections(cognigy={"base_url": "https://{tenant}.cognigy.com/api/v1"}), "", "cognigy.base_url"),
    (sections(cognigy={"client_secret_file": "/nonexistent"}), "", "cognigy.client_secret"),
    (sections(kafka={"properties": ["no.such.property=1"]}), "", "no.such.property"),
    (sections(kafka={"properties": ["enable.auto.commit=true"]}), "", "enable.auto.commit"),
    (sections(kafka={"retry": "handoff.requests"}), "", "kafka."),
    (sections(admin={"listen": "nowhere"}), "", "admin.listen"),
    (sections(log={"level": "loud"}), "", "log.level"),
    ('kafka = { brokers = "x" ', ":", "syntax"),
]


@pytest.mark.parametrize("text,place,key", BAD_CONFIGURATIONS, ids=[key for _, _, key in BAD_CONFIGURATIONS])
def test_bad_configuration_is_refused_with_its_place(folder, text, place, key):
    for arguments in ([], ["--check-config"]):
        done = handoffd(folder, text, *arguments)
        assert done.returncode == 2 and done.stdout == ""
        (sentence,) = done.stderr.splitlines()
        assert sentence.startswith("handoffd: ") and "handoffd.conf" in sentence
        assert place in sentence and key in sentence


def test_missing_credentials_and_environment(folder):
    clean = {"PATH": "/usr/bin"}
    text = config_text({"cognigy": {"base_url": "http://127.0.0.1:1/api/v1"}})
    done = handoffd(folder, text, "--check-config", env=clean)
    assert done.returncode == 2 and "client_id" in done.stderr
    env = {**clean, "COGNIGY_CLIENT_ID": "id", "COGNIGY_CLIENT_SECRET": SECRET}
    assert handoffd(folder, text, "--check-config", env=env).returncode == 0
    done = handoffd(folder, text, "--check-config", env={**env, "HANDOFFD_WORKER_WINDOW": "1"})
    assert done.returncode == 2 and "HANDOFFD_WORKER_WINDOW" in done.stderr


def test_usage(folder):
    for arguments in (["--no-such-option"], ["stray"], ["-c"]):
        done = subprocess.run([binary("handoffd"), *arguments], capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 2 and done.stdout == "" and done.stderr
    missing = subprocess.run([binary("handoffd"), "-c", folder / "none.conf"], capture_output=True, text=True,
                             timeout=20, check=False)
    assert missing.returncode == 2 and "none.conf" in missing.stderr
    for arguments, word in ((["--help"], "usage: handoffd"), (["--version"], "handoffd 0.")):
        done = subprocess.run([binary("handoffd"), *arguments], capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0 and done.stdout.startswith(word) and done.stderr == ""


def test_printed_configuration_is_accepted_and_has_no_secret(folder):
    printed = handoffd(folder, sections(kafka={"properties": ["sasl.password=" + SECRET]}), "--print-config")
    assert printed.returncode == 0 and "***" in printed.stdout
    assert handoffd(folder, printed.stdout, "--check-config").returncode == 0


# --- topics -----------------------------------------------------------------------------------------------------------

def last_error(worker):
    return [line["message"] for line in worker.log() if line["level"] == "error"][-1]


@pytest.mark.parametrize("broken", ["requests", "retry", "outcomes", "dead_letters"])
def test_missing_topic_ends_it_by_name(apache, simulator, folder, broken):
    topics = Topics.unique()
    names = {name: topics.partitions for name in topics.all() if name != getattr(topics, broken)}
    create_topics(apache.bootstrap, names)
    w = Worker(folder, apache, topics, simulator)
    assert w.wait(30) == 1
    assert f"`{getattr(topics, broken)}`" in last_error(w)


def test_missing_topics_are_created_when_asked(apache, simulator, folder):
    topics = Topics.unique()
    env = {"HANDOFFD_KAFKA_CREATE_TOPICS": "true", "HANDOFFD_KAFKA_PARTITIONS": "3"}
    w = Worker(folder, apache, topics, simulator, env=env).wait_ready()
    assert len(end_offsets(apache.bootstrap, topics.retry)) == 3
    w.stop_clean()


def test_unequal_partition_counts_end_it_with_both_counts(apache, simulator, folder):
    topics = Topics.unique()
    create_topics(apache.bootstrap, {**{name: 4 for name in topics.all()}, topics.retry: 3})
    w = Worker(folder, apache, topics, simulator)
    assert w.wait(30) == 1
    sentence = last_error(w)
    assert f"`{topics.requests}` (4 partitions)" in sentence and f"`{topics.retry}` (3 partitions)" in sentence


def test_compacted_topic_is_refused(apache, simulator, folder):
    topics = Topics.unique()
    create_topics(apache.bootstrap, {name: 4 for name in topics.all() if name != topics.retry})
    create_topics(apache.bootstrap, {topics.retry: 4}, **{"cleanup.policy": "compact"})
    w = Worker(folder, apache, topics, simulator)
    assert w.wait(30) == 1
    assert topics.retry in last_error(w) and "compact" in last_error(w)


# --- peers that are away, or refuse -------------------------------------------------------------------------------------

def test_unreachable_broker_is_named_and_waited_for(simulator, folder):
    port = free_port()
    begin = time.monotonic()
    w = Worker(folder, Kafka(f"127.0.0.1:{port}", "apache"), Topics(), simulator, worker={"drain_ms": 3000})
    wait_until(lambda: any(f"127.0.0.1:{port}" in line["message"] for line in w.log()), 12, "the broker to be named")
    assert time.monotonic() - begin < 12
    assert w.get("/healthz")[0] == 200
    code, body = w.get("/readyz")
    assert code == 503 and "broker" in body
    time.sleep(1)
    w.check_alive()
    assert w.stop(10) == 1
    assert "before a Kafka broker answered" in last_error(w)


def test_wrong_credentials_are_said_and_tried_again(broker, topics, worker):
    w = worker(ready=False, cognigy={"client_secret": SECRET})
    produce(broker.bootstrap, topics.requests, [{"key": b"s", "value": request("s", handoffId="h", ttlMs=6000)}])
    wait_until(lambda: any("login was refused with HTTP status 401" in line["message"] for line in w.log()), 20,
               "the refusal to be logged")
    wait_until(lambda: len(broker.simulator.calls("login")) >= 3, 20, "it to try again")
    code, body = w.get("/readyz")
    assert code == 503 and "login" in body
    (outcome,) = read_all(broker.bootstrap, topics.outcomes, 1)
    assert (outcome.json()["status"], outcome.json()["reason"]) == ("expired", "deadline.passed")
    assert read_all(broker.bootstrap, topics.retry) == [] and read_all(broker.bootstrap, topics.dead_letters) == []
    w.stop_clean()
    assert SECRET not in w.stderr()


def test_unreachable_tenant_burns_nothing(broker, topics, worker):
    port = free_port()
    w = worker(ready=False, cognigy={"base_url": f"http://127.0.0.1:{port}/api/v1"})
    produce(broker.bootstrap, topics.requests, [
        {"key": b"s", "value": request("s", handoffId="patient")},
        {"key": b"t", "value": request("t", handoffId="late", ttlMs=4000)}])
    (outcome,) = read_all(broker.bootstrap, topics.outcomes, 1)
    assert outcome.json()["handoffId"] == "late" and outcome.json()["status"] == "expired"
    assert read_all(broker.bootstrap, topics.retry) == []
    w.stop_clean()
    after = worker(name="after")
    outcomes = read_all(broker.bootstrap, topics.outcomes, 2)
    assert {o.json()["handoffId"]: o.json()["status"] for o in outcomes} == {"late": "expired", "patient": "completed"}
    after.stop_clean()


# --- bodies -----------------------------------------------------------------------------------------------------------

def test_oversized_record_is_rejected_and_kept(broker, topics, worker):
    worker(worker={"max_record_bytes": 2000})
    large = request("s", handoffId="large", metadata={"note": "x" * 5000})
    produce(broker.bootstrap, topics.requests, [{"key": b"s", "value": large},
                                                {"key": b"s", "value": request("s", handoffId="small")}])
    outcomes = {o.json()["status"]: o.json() for o in read_all(broker.bootstrap, topics.outcomes, 2)}
    assert set(outcomes) == {"rejected", "completed"} and outcomes["completed"]["handoffId"] == "small"
    (letter,) = read_all(broker.bootstrap, topics.dead_letters, 1)
    assert letter.value == large


@pytest.mark.sandbox(script="session s variables='{\"note\":\"%s\"}'\n" % ("y" * 9000))
def test_oversized_session_fails_after_its_budget(broker, topics, worker):
    worker(cognigy={"max_body_bytes": 4096}, retry={"base_delay_ms": 100})
    produce(broker.bootstrap, topics.requests, [{"key": b"s", "value": request("s", handoffId="h")}])
    (outcome,) = read_all(broker.bootstrap, topics.outcomes, 1)
    assert (outcome.json()["status"], outcome.json()["reason"]) == ("failed", "upstream.bad_response")
    assert outcome.json()["attempts"] == 3


@pytest.mark.sandbox(script="session s variables='{\"a\":1,\"\\u0061\":2}'\n")
def test_session_that_cannot_be_merged_is_left_alone(broker, topics, worker):
    worker()
    produce(broker.bootstrap, topics.requests, [{"key": b"s", "value": request("s", handoffId="h")}])
    (outcome,) = read_all(broker.bootstrap, topics.outcomes, 1)
    assert (outcome.json()["status"], outcome.json()["reason"]) == ("failed", "upstream.bad_response")
    assert broker.simulator.calls("update") == []
