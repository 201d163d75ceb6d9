"""handoffctl: what it says about wrong usage, what it sends, what it makes of the outcomes."""
import json
import os
import pty
import re
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Consumer, Producer

from lib import Tool, Topics, binary, create_topics, delete_records, free_port, libconfig, produce, read_all

COMMANDS = ["submit", "follow", "verify", "explain", "replay", "cancel"]
QUEUE = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"


def ctl(*arguments, data=None, timeout=60, env=None):
    return subprocess.run([binary("handoffctl"), *map(str, arguments)], input=data, capture_output=True, text=True,
                          timeout=timeout, check=False, env=env)


def lines(*values):
    return "".join(json.dumps(value) + "\n" for value in values)


def requests(count, **fields):
    return lines(*({"sessionId": f"s{n}", "queueId": QUEUE, **fields} for n in range(1, count + 1)))


def fails(done, code, sentence):
    """Ended with this code and this one sentence on stderr, and said nothing on stdout."""
    assert (done.returncode, done.stdout, done.stderr) == (code, "", f"handoffctl: {sentence}\n")


# --- usage ------------------------------------------------------------------------------------------------------------

def test_help_and_version():
    for words in (["--help"], ["-h"], ["help"]):
        done = ctl(*words)
        assert (done.returncode, done.stderr) == (0, "")
        assert re.findall(r"^  ([a-z]+) ", done.stdout, re.M) == COMMANDS
    done = ctl("--version")
    assert (done.returncode, done.stderr) == (0, "") and re.fullmatch(r"handoffctl \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_its_help(command):
    done = ctl(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: handoffctl {command} [OPTIONS]")
    assert {"brokers", "config", "property", "json", "help"} <= set(re.findall(r"--([a-z-]+)", done.stdout))


@pytest.mark.parametrize("words, sentence", [
    ([], "a command is missing; handoffctl --help lists them"),
    (["sumbit"], 'there is no command "sumbit"; handoffctl --help lists the commands'),
    (["--json"], 'there is no option "--json"; handoffctl --help lists the commands'),
    (["submit", "--frobnicate"], "submit: there is no option --frobnicate; see handoffctl submit --help"),
    (["submit", "-z"], "submit: there is no option -z; see handoffctl submit --help"),
    (["submit", "--rate"], "submit: --rate needs a value, N; see handoffctl submit --help"),
    (["submit", "--rate=0"], 'submit: --rate takes a number above 0, not "0"; see handoffctl submit --help'),
    (["submit", "--rate", "inf"], 'submit: --rate takes a number above 0, not "inf"; see handoffctl submit --help'),
    (["submit", "--follow=yes"], "submit: --follow takes no value; see handoffctl submit --help"),
    (["submit", "a", "b"], "submit: takes one file, not 2; see handoffctl submit --help"),
    (["submit", "-t", "a b", "/dev/null"], "--topic must be a topic's name: 1 to 249 of A-Z a-z 0-9 . _ - and neither "
                                           '"." nor ".."'),
    (["submit", "--batch", "x" * 113, "/dev/null"],
     '--batch takes at most 112 printable ASCII characters, no " and no \\'),
    (["submit", "-b", "a:b", "/dev/null"], '-b must be HOST:PORT, comma-separated; "a:b" is not one'),
    (["submit", "/nowhere"], "/nowhere: cannot be read: No such file or directory"),
    (["submit", "-c", "/nowhere", "/dev/null"], "/nowhere: cannot be read: No such file or directory"),
    (["follow", "extra"], 'follow: takes no "extra"; see handoffctl follow --help'),
    (["follow", "--count", "-1"], 'follow: --count takes a whole number from 1 on, not "-1"; see handoffctl follow '
                                  "--help"),
    (["follow", "--status", "done"], 'follow: there is no status "done"; handoffctl(1) lists them under --status'),
    (["follow", "--reason", "done"], 'follow: there is no reason "done"; handoffctl(1) lists them under REASONS'),
    (["submit", "--help=html"], 'submit: --help takes no value but "man", not "html"'),
    (["explain"], "explain: the handoffId is missing; see handoffctl explain --help"),
    (["explain", "a", "b"], "explain: takes one handoffId, not 2; see handoffctl explain --help"),
    (["replay", "--reason", "nope"], 'replay: there is no reason "nope"; handoffctl(1) lists them under REASONS'),
    (["replay", "--reason", "session.ended"], "replay: handoffs that ended as session.ended have no dead letter, so there "
                                              "is nothing to replay; send the requests again with handoffctl submit"),
    (["replay", "--max", "0"], 'replay: --max takes a whole number from 1 on, not "0"; see handoffctl replay --help'),
    (["cancel"], "cancel: --session is missing: whose call is it? See handoffctl cancel --help"),
    (["cancel", "--session", ".."], "cancel: sessionId must be 1 to 256 bytes without control characters, and neither . "
                                    "nor .."),
    (["cancel", "--session", "s", "--id", "ä"], "cancel: handoffId must be 1 to 128 printable ASCII characters"),
    (["cancel", "s"], 'cancel: takes no "s"; see handoffctl cancel --help'),
])
def test_wrong_usage(words, sentence):
    fails(ctl(*words), 2, sentence)


def test_the_configuration_s_mistakes_are_named(folder):
    path = folder / "h.conf"
    path.write_text("kafka: {\n  brokers = 5;\n};\n")
    fails(ctl("follow", "-c", path), 2, f"{path}:2: kafka.brokers: must be a text in quotes, not a whole number")


def test_a_librdkafka_property_s_value_is_not_repeated():
    done = ctl("follow", "-X", "sasl.passwort=hush")
    assert done.returncode == 2 and "sasl.passwort" in done.stderr and "hush" not in done.stderr


def test_a_cancel_names_its_tenant(folder):
    path = folder / "h.conf"
    path.write_text('tenants = ( { name = "acme"; }, { name = "globex"; } );\n')
    fails(ctl("cancel", "-c", path, "--session", "s"), 2,
          "cancel: --tenant is missing: the configuration has several tenants")
    fails(ctl("cancel", "-c", path, "--session", "s", "--tenant", "x"), 2,
          'cancel: the configuration has no tenant "x"; handoffd --print-config lists them')


# --- brokers ----------------------------------------------------------------------------------------------------------

def test_an_unreachable_broker_is_named():
    broker = f"127.0.0.1:{free_port()}"
    commands = [["submit"], ["submit", "--follow"], ["follow"], ["verify"], ["replay"], ["explain", "h"],
                ["cancel", "--session", "s"]]
    begin = time.monotonic()
    with ThreadPoolExecutor(len(commands)) as together:  # each waits ten seconds for the broker
        ends = list(together.map(lambda words: ctl(*words, "-b", broker, data=requests(1)), commands))
    assert time.monotonic() - begin < 15
    for words, done in zip(commands, ends):
        assert (done.returncode, done.stdout) == (1, ""), words
        assert done.stderr.startswith("handoffctl: ") and broker in done.stderr and done.stderr.count("\n") == 1
        assert done.stderr.endswith("; is -b (or kafka.brokers) right, and are they up?\n"), words


@pytest.mark.parametrize("words", [["submit", "-t", "no.such.topic"], ["follow"], ["verify"], ["explain", "h"]])
def test_a_missing_topic_is_named(apache, words, folder):
    path = folder / "h.conf"
    path.write_text('kafka: { requests = [ "no.such.topic" ]; outcomes = "no.such.outcomes"; };')
    done = ctl(*words, "-c", path, "-b", apache.bootstrap, data=requests(1))
    assert (done.returncode, done.stdout) == (1, "")
    assert re.match(r"handoffctl: there is no topic no\.such\.\w+: create it \(scripts/create-topics\), or name the right one",
                    done.stderr)
    assert done.stderr.count("\n") == 1


@pytest.fixture
def config(folder, broker, topics):
    """The worker's file, as far as the tool needs it."""
    path = folder / "h.conf"
    kafka = {"brokers": broker.bootstrap, "requests": [topics.requests], "retry": topics.retry,
             "outcomes": topics.outcomes, "dead_letters": topics.dead_letters}
    path.write_text(f"kafka = {libconfig(kafka)};\n")
    return path


class FakeWorker(threading.Thread):
    """Answers each request with the outcome that `decide(request)` names: (status, reason), None for none at all."""

    def __init__(self, broker, topics, decide, times=1):
        super().__init__(daemon=True)
        self.topics, self.decide, self.times = topics, decide, times
        self.over = threading.Event()
        self.consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": f"fake-{topics.group}",
                                  "auto.offset.reset": "earliest", "log_level": 0})
        self.producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 5, "log_level": 0})
        self.consumer.subscribe([topics.requests])
        self.start()

    def run(self):
        while not self.over.is_set():
            for message in self.consumer.consume(500, 0.1):
                if not message.error():
                    self.answer(json.loads(message.value()))
            self.producer.poll(0)
        self.producer.flush(10)
        self.consumer.close()

    def answer(self, asked):
        decided = self.decide(asked)
        if asked.get("type") == "cancel" or decided is None:
            return
        for _ in range(self.times):
            produce_outcome(self.producer, self.topics.outcomes, asked, *decided)

    def stop(self):
        self.over.set()
        self.join(20)
        assert not self.is_alive()


def produce_outcome(producer, topic, asked, status, reason, timing=None, error=None):
    body = {"handoffId": asked["handoffId"], "batchId": asked["batchId"], "sessionId": asked["sessionId"],
            "status": status, "reason": reason, "attempts": 1,
            "timing": {"finishedAt": "2026-11-24T10:00:00.123Z", "totalMs": 49, **(timing or {})}, "error": error}
    producer.produce(topic, key=asked["sessionId"].encode(), value=json.dumps(body).encode(), headers={
        "ce_subject": asked["sessionId"], "handoff-id": asked["handoffId"], "handoff-batch": asked["batchId"],
        "handoff-status": status, "handoff-reason": reason})


@pytest.fixture
def fake_worker(broker, topics):
    started = []

    def start(decide, **options):
        started.append(FakeWorker(broker, topics, decide, **options))
    yield start
    for worker in started:
        worker.stop()


def test_what_is_sent(broker, topics, config):
    done = ctl("submit", "-c", config, "--batch", "b", "--json", data=requests(3000, metadata={"a": "ä"}))
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert (result["submitted"], result["batchId"], result["topic"]) == (3000, "b", topics.requests)
    records = read_all(broker.bootstrap, topics.requests, 3000)
    assert len(records) == 3000
    assert {(record.key.decode(), record.json()["sessionId"], record.json()["handoffId"]) for record in records} == \
        {(f"s{n}", f"s{n}", f"b-{n}") for n in range(1, 3001)}
    assert len({record.partition for record in records}) > 1


def test_a_bad_line_sends_nothing(broker, topics, config):
    assert ctl("submit", "-c", config, data=requests(5) + "{}\n").returncode == 2
    assert read_all(broker.bootstrap, topics.requests) == []


def test_the_rate_is_kept(broker, topics, config):
    begin = time.time() * 1000
    assert ctl("submit", "-c", config, "--rate", "50", data=requests(101)).returncode == 0
    times = sorted(record.timestamp for record in read_all(broker.bootstrap, topics.requests, 101))
    # On a busy machine it may fall behind and catch up, but no record is ever ahead of its turn.
    early = [n for n, at in enumerate(times) if at < int(begin) + n * 20]
    assert not early


def test_following_to_a_clean_end(config, fake_worker):
    fake_worker(lambda asked: ("initiated", "transfer.unconfirmed") if asked["sessionId"] == "s7" else
                ("completed", "ok"), times=2)
    data = requests(200) + lines({"sessionId": "gone", "type": "cancel"})
    done = ctl("submit", "-c", config, "--follow", "--batch", "b", data=data, timeout=100)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "SLOWEST" and len(said) == 11 and all(line.endswith(" ms") for line in said[1:6])
    rows = [line.split() for line in said[6:]]
    assert rows[:4] == [["STATUS", "REASON", "REQUESTS"], ["completed", "ok", "199"],
                        ["initiated", "transfer.unconfirmed", "1"], ["total", "200"]]
    assert re.match(r"201 requests submitted to \S+ as batch b in [\d.]+ s$", said[-1])
    assert "\r" not in done.stderr and "\033" not in done.stdout + done.stderr


def test_following_to_an_unclean_end(config, fake_worker):
    fake_worker(lambda asked: ("failed", "session.not_found") if asked["sessionId"] == "s3" else ("completed", "ok"))
    done = ctl("submit", "-c", config, "--follow", "--json", data=requests(10), timeout=100)
    assert (done.returncode, done.stderr) == (3, "")
    result = json.loads(done.stdout)
    assert sorted((row["status"], row["count"]) for row in result["outcomes"]) == [("completed", 9), ("failed", 1)]
    assert (result["missing"], result["unknown"], result["submitted"]) == (0, 0, 10)
    (failed,) = result["failed"]
    assert failed == {"handoffId": result["batchId"] + "-3", "sessionId": "s3", "status": "failed",
                      "reason": "session.not_found", "message": None, "totalMs": 49}
    assert len(result["slowest"]) == 5 and result["failedLeftOut"] == 0


def test_sending_it_again_is_clean(config, fake_worker):
    """What was sent before ends as a duplicate of itself; a caller whom somebody else transfers is not clean."""
    fake_worker(lambda asked: ("duplicate", "request.duplicate"))
    done = ctl("submit", "-c", config, "--follow", "--batch", "b", data=requests(3), timeout=100)
    assert done.returncode == 0, done.stderr
    assert ["duplicate", "request.duplicate", "3"] in [line.split() for line in done.stdout.splitlines()]
    assert "NOT HANDED OVER" not in done.stdout


def test_somebody_elses_transfer_is_not_clean(config, fake_worker):
    fake_worker(lambda asked: ("duplicate", "session.already_transferring"))
    done = ctl("submit", "-c", config, "--follow", "--json", data=requests(2), timeout=100)
    assert done.returncode == 3 and len(json.loads(done.stdout)["failed"]) == 2


def test_the_slowest_and_what_failed_are_named(config, fake_worker):
    def decide(asked):
        number = int(asked["sessionId"][1:])
        if number % 2:
            return "completed", "ok", {"totalMs": number}
        return "failed", "upstream.server_error", {"totalMs": 1}, {"stage": "trigger", "httpStatus": 500, "message": "broken"}
    fake_worker(decide)
    done = ctl("submit", "-c", config, "--follow", "--batch", "b", data=requests(50), timeout=100)
    said = done.stdout.splitlines()
    assert done.returncode == 3 and said[0] == "NOT HANDED OVER"
    assert all(re.fullmatch(r"  b-(\d+)  s\1  failed/upstream.server_error  1 ms  trigger: 500 broken", line)
               for line in said[1:21]) and len({line for line in said[1:21]}) == 20
    assert said[21] == "  and 5 more; handoffctl follow --from-start --batch lists all"
    assert said[22:28] == ["SLOWEST", *(f"  b-{n}  s{n}  completed/ok  {n} ms" for n in (49, 47, 45, 43, 41))]


def test_following_in_vain(config, fake_worker):
    fake_worker(lambda asked: None if asked["sessionId"] == "s2" else ("completed", "ok"))
    done = ctl("submit", "-c", config, "--follow", "--timeout", "8", data=requests(3), timeout=100)
    assert done.returncode == 1
    assert done.stderr.endswith("handoffctl: 1 of 3 requests had no outcome 8 s after the last was sent; handoffctl verify tells "
                                "whether workers are at it, explain ID where one is\n")
    assert [line.split()[-1] for line in done.stdout.splitlines()[-4:-1]] == ["2", "1", "3"]


# --- follow -----------------------------------------------------------------------------------------------------------

def outcome(number, status="completed", reason="ok", batch="b"):
    return {"handoffId": f"h{number}", "batchId": batch, "sessionId": f"s{number}"}, status, reason


def write_outcomes(broker, topics, *outcomes):
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    for asked, status, reason in outcomes:
        produce_outcome(producer, topics.outcomes, asked, status, reason)
    assert producer.flush(30) == 0


def test_filters(broker, topics, config):
    write_outcomes(broker, topics, outcome(1), outcome(2, "failed", "session.ended"), outcome(3, batch="c"))

    def followed(count, *filters):
        done = ctl("follow", "-c", config, "--from-start", "--count", count, "--timeout", "30", *filters)
        assert (done.returncode, done.stderr) == (0, "")
        return sorted(done.stdout.splitlines())
    line = "2026-11-24T10:00:00.123Z  {}  h{}  s{}  49 ms  attempts 1"
    one, two = line.format("completed/ok", 1, 1), line.format("failed/session.ended", 2, 2)
    assert followed(3) == sorted([one, two, line.format("completed/ok", 3, 3)])
    assert followed(1, "--id", "h2") == [two]
    assert followed(2, "--batch", "b") == sorted([one, two])
    assert followed(1, "--status", "failed") == [two]
    found, = followed(1, "--status", "completed", "--batch", "c", "--json")
    assert json.loads(found)["handoffId"] == "h3"


def test_too_few_in_time(broker, topics, config):
    write_outcomes(broker, topics, outcome(1))
    done = ctl("follow", "-c", config, "--from-start", "--count", "2", "--timeout", "5")
    assert done.returncode == 1 and len(done.stdout.splitlines()) == 1
    assert done.stderr == "handoffctl: 1 of 2 outcomes came in 5 s; a longer --timeout waits for the others\n"
    assert ctl("follow", "-c", config, "--timeout", "0.5").returncode == 0


def test_only_what_is_new(broker, topics, config):
    write_outcomes(broker, topics, outcome(1, batch="old"))
    follower = subprocess.Popen([binary("handoffctl"), "follow", "-c", str(config), "--count", "1", "--timeout", "60"],
                                stdout=subprocess.PIPE, text=True)
    try:
        # It cannot be seen from outside when it listens: so outcomes are written until it has one.
        while follower.poll() is None:
            write_outcomes(broker, topics, outcome(2, batch="new"))
            time.sleep(0.2)
        assert follower.returncode == 0 and "  h2  " in follower.stdout.read()
    finally:
        follower.kill()
        follower.wait()


def test_a_value_cannot_steer_the_terminal(broker, topics, config):
    write_outcomes(broker, topics, ({"handoffId": "h1", "batchId": "b", "sessionId": "a\x1b[2Jb"}, "completed", "ok"))
    done = ctl("follow", "-c", config, "--from-start", "--count", "1", "--timeout", "30")
    assert done.returncode == 0 and "  a?[2Jb  " in done.stdout


def test_a_bar_on_a_terminal(sandbox):
    """What a person sees: the bar is redrawn in its line, statuses have colours."""
    master, slave = pty.openpty()
    command = [binary("handoffctl"), "submit", "-b", sandbox.bootstrap, "--rate", "10"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=slave, stderr=slave, text=True) as process:
        os.close(slave)
        process.stdin.write(requests(20))
        process.stdin.close()
        seen = b""
        try:
            while block := os.read(master, 4096):
                seen += block
        except OSError:  # how Linux says that the other end was closed
            pass
        os.close(master)
    assert process.returncode == 0
    assert re.search(rb"\r\[#+\.+\] \d+ of 20 sent, [\d.]+/s, 0:0\d left\x1b\[K", seen)
    assert seen.count(b"\r[") > 2 and b"] 20 of 20 sent\x1b[K\r\n20 requests submitted to handoff.requests" in seen


# --- replay -----------------------------------------------------------------------------------------------------------

def test_letters_that_may_have_been_replayed_before_are_left_alone(apache, folder):
    """Retention has removed the requests of their time: only who says --again takes the risk."""
    names = Topics.unique(1)
    create_topics(apache.bootstrap, {name: 1 for name in names.all()})
    tool = Tool(folder, apache.bootstrap, names)
    now = int(time.time() * 1000)
    produce(apache.bootstrap, names.requests, [{"key": b"k", "value": b"{}"}] * 2)
    produce(apache.bootstrap, names.dead_letters, [
        {"key": b"s-1", "value": b"{}", "headers": {"handoff-id": "h-1", "handoff-reason": "auth.rejected",
                                                    "handoff-failed-at": str(now - 86_400_000)}},
        {"key": b"s-2", "value": None, "headers": {"handoff-id": "h-2", "handoff-reason": "auth.rejected",
                                                   "handoff-failed-at": str(now + 60_000), "handoff-truncated": "9"}},
        {"key": b"s-3", "value": b"{}", "headers": {"handoff-id": "h-3", "handoff-reason": "auth.rejected",
                                                    "handoff-failed-at": str(now + 60_000)}}])
    delete_records(apache.bootstrap, names.requests, 0, 1)
    (row,) = tool.json("replay", "--dry-run")["reasons"]
    assert (row["toReplay"], row["unsure"], row["truncated"]) == (1, 1, 1)
    (row,) = tool.json("replay", "--dry-run", "--again")["reasons"]
    assert (row["toReplay"], row["unsure"], row["truncated"]) == (2, 0, 1)
