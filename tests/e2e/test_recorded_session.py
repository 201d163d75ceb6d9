"""A person at a terminal: recorded/handoffs.session is typed line by line, and each answer compared."""
import os
import pathlib
import re
import subprocess

import confluent_kafka
import pytest

from conftest import start_kafka, stop_kafka
from lib import Kafka, Topics, Worker, binary, create_topics

RECORDED = pathlib.Path(__file__).parent / "recorded/handoffs.session"
PLACES = {"<n>": r"[\d.]+", "<time>": r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<clock>": r"\d\d:\d\d:\d\d\.\d{3}",
          "<date>": r"\d{4}-\d\d-\d\d"}
BROKEN = ["caller-017", "caller-060", "caller-140"]
QUEUE = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"


def steps():
    """(line typed, lines answered), and ("! LINE", []) for what somebody else does meanwhile"""
    found = []
    for line in RECORDED.read_text().splitlines():
        if line.startswith(("$ ", "! ")):
            found.append((line, []))
        elif line and not line.startswith("#"):
            found[-1][1].append(line)
    return found


def pattern(line):
    return "".join(PLACES.get(piece, re.escape(piece)) for piece in re.split("(<[a-z]+>)", line))


def typed(line, folder):
    """What a terminal shows of it: both streams, in their order."""
    path = f"{pathlib.Path(binary('handoffctl')).parent}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=folder, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=90, check=False, env={**os.environ, "PATH": path})
    return done.returncode, done.stdout


# Until then librdkafka sends a nonce that Apache Kafka does not take since 4.0 (README, "Running it for real").
KNOWS_SCRAM = confluent_kafka.libversion()[1] >= 0x02060100
BEFORE_FOUR = "3.9.1"


@pytest.fixture
def start_secured(tmp_path):
    """Starts an Apache Kafka of its own, with a listener for SASL_SSL."""
    directory = tmp_path / "kafka"

    def start(version=None):
        return start_kafka(directory, secured=["--sasl"], version=version)
    try:
        yield start
    finally:
        stop_kafka(directory)


def login(kafka, mechanism):
    """The properties of a client."""
    return ["security.protocol=SASL_SSL", f"sasl.mechanism={mechanism}", "sasl.username=handoff",
            "sasl.password=handoff-secret", f"ssl.ca.location={kafka['ssl.ca.location']}"]


@pytest.fixture(params=["plain", "sasl_ssl-PLAIN", "sasl_ssl-SCRAM-SHA-512"])
def reached(request):
    """(where topics are created, how worker and tool reach it, the properties they need)"""
    if request.param == "plain":
        bootstrap = request.getfixturevalue("apache").bootstrap
        return bootstrap, Kafka(bootstrap, "apache"), []
    mechanism = request.param.split("-", 1)[1]
    needs_older = mechanism != "PLAIN" and not KNOWS_SCRAM
    kafka = request.getfixturevalue("start_secured")(BEFORE_FOUR if needs_older else None)
    return kafka["bootstrap.servers"], Kafka(kafka["sasl.bootstrap.servers"], "apache"), login(kafka, mechanism)


@pytest.mark.limit(360)
@pytest.mark.sandbox(script="latency 5ms\nlock caller-099 for=600s\n" +
                     "".join(f"on trigger session={caller} reply 500\n" for caller in BROKEN))
def test_a_session_at_the_terminal(folder, reached, simulator):
    bootstrap, kafka, properties = reached
    topics = Topics.unique()
    create_topics(bootstrap, {name: topics.partitions for name in topics.all()})
    worker = Worker(folder, kafka, topics, simulator, retry={"budget_server": 1, "locked_delay_ms": 60000},
                    kafka={"delivery": "exactly-once", "properties": properties}).wait_ready()
    (folder / "handoffd.conf").write_text(worker.config_path.read_text())
    (folder / "callers.csv").write_text("sessionId,queueId,metadata.callerName\n" + "".join(
        f'caller-{n:03},{QUEUE},"Caller, {n}"\n' for n in range(1, 201)))
    prefix = topics.requests.removesuffix(".requests")
    for line, wanted in steps():
        if line.startswith("! "):
            simulator.script(line[2:])
            continue
        code, said = typed(line[2:], folder)
        said = said.replace(prefix, "handoff").splitlines()
        report = f"{line}\n" + "\n".join(said)
        assert code == 0, report
        # How far it is, is told where it takes a while.
        said = [text for text in said if not re.fullmatch(r"\d+ of \d+ (sent|replayed|offsets read)", text)]
        assert len(said) == len(wanted), report
        for text, like in zip(said, wanted):
            assert re.fullmatch(pattern(like), text), f"{report}\n\nwanted: {like}"
    worker.stop_clean()


@pytest.mark.skipif(KNOWS_SCRAM, reason="this librdkafka logs in by SCRAM")
def test_why_scram_cannot_log_in_is_told(start_secured):
    kafka = start_secured()
    words = [word for text in login(kafka, "SCRAM-SHA-512") for word in ("-X", text)]
    done = subprocess.run([binary("handoffctl"), "verify", "-b", kafka["sasl.bootstrap.servers"], *words],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "handoff-secret" not in done.stderr
    assert "SCRAM refused: wrong password, or a Kafka 4 broker: librdkafka before 2.6.1 must use PLAIN or a certificate" in \
        done.stderr
