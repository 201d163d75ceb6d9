"""How a worker and a tool prove to the brokers who they are: by a client certificate, and by a token out of a file that
somebody else renews. (By user and password: test_recorded_session.py.)"""
import subprocess
import time

import pytest

from conftest import start_kafka, stop_kafka
from lib import Kafka, Topics, Worker, binary, create_topics, keyed, produce, read_all, script, wait_until
from lib.issuer import Issuer
from lib.tls import Authority, Front
from lib.tool import Tool


class Doorkeeper:
    """An Apache Kafka whose listener SSL wants certificates of `ours`, and SASL_SSL tokens of `issuer`."""

    def __init__(self, folder):
        self.ours, self.issuer = Authority(folder), Issuer(folder)
        said = start_kafka(folder / "kafka", secured=["--tls", self.ours.certificate, "--oauth", self.issuer.keys],
                           # A connection is over when its token is: whoever goes on has shown another one.
                           settings=["listener.name.sasl_ssl.oauthbearer.connections.max.reauth.ms=3600000",
                                     "listener.name.sasl_ssl.oauthbearer.sasl.oauthbearer.clock.skew.seconds=0"])
        self.plain, self.tls, self.sasl = (said[f"{kind}bootstrap.servers"] for kind in ("", "ssl.", "sasl."))
        self.trust = f"ssl.ca.location={said['ssl.ca.location']}"


@pytest.fixture(scope="module", name="brokers")
def doorkeeper(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logins")
    try:
        yield Doorkeeper(folder)
    finally:
        stop_kafka(folder / "kafka")


@pytest.fixture(name="names")
def topic_names(brokers):
    names = Topics.unique(2)
    create_topics(brokers.plain, {name: 2 for name in names.all()})
    return names


class Client:
    """What reaches the brokers by these properties: a worker, its --check, and handoffctl."""

    def __init__(self, folder, bootstrap, names, properties):
        self.folder, self.kafka, self.names, self.properties = folder, Kafka(bootstrap, "apache"), names, properties

    def worker(self, simulator):
        return Worker(self.folder, self.kafka, self.names, simulator,
                      kafka={"delivery": "exactly-once", "properties": self.properties})

    def check(self, worker):
        """Its line about the broker."""
        done = subprocess.run([binary("handoffd"), "-c", worker.config_path, "--check"], capture_output=True, text=True,
                              timeout=60, check=False)
        line, = [line for line in done.stdout.splitlines() if f"broker {self.kafka.bootstrap}: " in line]
        assert done.returncode == int(line.startswith("FAIL")), done.stdout
        return line

    def tool(self, command, *words, **more):
        """handoffctl with -c for the names of the topics, and -X for the login."""
        options = [word for text in self.properties for word in ("-X", text)]
        return Tool(self.folder, self.kafka.bootstrap, self.names).run(command, *options, *words, **more)


def expect_all_is_well(client, simulator):
    worker = client.worker(simulator).wait_ready()
    assert client.check(worker).endswith("answers")
    done = client.tool("submit", "--follow", data='{"sessionId":"s-1","queueId":"a1b2c3d4-e5f6-7890-abcd-ef1234567890"}\n')
    assert done.returncode == 0, done.stderr
    done = client.tool("verify")
    assert done.returncode == 0, done.stderr
    assert [line for line in worker.log() if line["level"] in ("warn", "error")] == []
    worker.stop_clean()


def expect_to_stay_outside(client, simulator, sentence, advice):
    """The worker says it and goes on trying, handoffctl and --check end with it."""
    worker = client.worker(simulator)
    wait_until(lambda: any(sentence in line["message"] for line in worker.log()), 12, f"the worker to say: {sentence}")
    line = client.check(worker)
    assert line.startswith("FAIL") and f"{sentence}: {advice}" in line
    done = client.tool("verify", timeout=30)
    assert done.returncode == 1 and done.stdout == "" and len(done.stderr.splitlines()) == 1
    assert sentence in done.stderr and done.stderr.endswith(
        "; see to user and password, token or certificate (-X, kafka.properties), and to what the user may do\n")
    assert worker.get("/readyz")[0] == 503 and worker.exit_code is None
    worker.kill()


# --- client certificates ----------------------------------------------------------------------------------------------

def certificates(brokers, pair):
    return ["security.protocol=SSL", brokers.trust,
            *(f"ssl.{what}.location={path}" for what, path in zip(("certificate", "key"), pair))]


def test_a_certificate_opens(folder, brokers, names, simulator):
    properties = certificates(brokers, brokers.ours.issue("worker-7"))
    expect_all_is_well(Client(folder, brokers.tls, names, properties), simulator)


@pytest.mark.parametrize("pair", ["none", "foreign"])
def test_no_certificate_and_a_foreign_one(folder, brokers, names, simulator, pair):
    shown = Authority(folder).issue("stranger") if pair == "foreign" else ()
    expect_to_stay_outside(Client(folder, brokers.tls, names, certificates(brokers, shown)), simulator,
                           "the broker refuses our client certificate, or wants one",
                           "check ssl.certificate.location and ssl.key.location in kafka.properties")


@pytest.mark.parametrize("case", ["wrong host", pytest.param("expired", marks=pytest.mark.long)])
def test_a_broker_that_is_not_what_it_says(folder, brokers, names, simulator, case):
    theirs = Authority(folder)
    front = Front(int(brokers.plain.split(":")[1]),
                  *theirs.issue("broker", "DNS:kafka.example" if case == "wrong host" else "IP:127.0.0.1",
                                expired=case == "expired"))
    client = Client(folder, f"127.0.0.1:{front.port}", names,
                    ["security.protocol=SSL", f"ssl.ca.location={theirs.certificate}"])
    expect_to_stay_outside(client, simulator, "broker certificate could not be verified",
                           "check ssl.ca.location in kafka.properties, the certificate's names and dates")
    front.close()


# --- tokens out of a file ---------------------------------------------------------------------------------------------

def tokens(brokers, path):
    return ["security.protocol=SASL_SSL", "sasl.mechanism=OAUTHBEARER", f"sasl.oauthbearer.config=token_file={path}",
            brokers.trust]


def test_a_token_opens(folder, brokers, names, simulator):
    brokers.issuer.renew(folder / "token")
    words = [word for text in tokens(brokers, folder / "token") for word in ("-X", text)]
    done = subprocess.run([script("create-topics"), brokers.sasl, "--prefix", names.requests.removesuffix(".requests"),
                           "--partitions", "2", *words], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.count("exists")) == (0, 4), done.stderr
    expect_all_is_well(Client(folder, brokers.sasl, names, tokens(brokers, folder / "token")), simulator)


@pytest.mark.long
def test_a_token_is_renewed(folder, brokers, names, simulator):
    """When the first is over, its connections are, and the second lets in: nothing is shown that is over. (The library
    looks once a second whether four fifths of a token's life are over: a shorter life would be over by then.)"""
    path = folder / "token"
    ends = time.time() + 12
    brokers.issuer.renew(path, life=12)
    worker = Client(folder, brokers.sasl, names, tokens(brokers, path)).worker(simulator).wait_ready()
    brokers.issuer.renew(path)
    sent = 0
    while time.time() < ends + 0.5:
        produce(brokers.plain, names.requests, [keyed(sent)])
        sent += 1
        assert len(read_all(brokers.plain, names.outcomes, sent)) == sent
    assert "invalid_token" not in worker.stderr() and "no token" not in worker.stderr()
    worker.stop_clean()


def test_there_is_no_such_file(folder, brokers, names, simulator):
    path = folder / "token"
    expect_to_stay_outside(Client(folder, brokers.sasl, names, tokens(brokers, path)), simulator,
                           f"no token to log in with: {path} cannot be read: No such file or directory",
                           "check sasl.oauthbearer.config in kafka.properties, and what renews the file")


@pytest.mark.parametrize("case, sentence", [
    ("empty", "holds no secret: it is empty"),
    ("opaque", "holds no JSON Web Token: three parts with dots between them were expected"),
    ("expired", "holds a token that expired at 20"),
])
def test_files_without_a_good_token(folder, brokers, names, simulator, case, sentence):
    path = folder / "token"
    path.write_text({"empty": "\n", "opaque": "s3cr3t", "expired": brokers.issuer.token(life=-5)}[case])
    worker = Client(folder, brokers.sasl, names, tokens(brokers, path)).worker(simulator)
    said = f"no token to log in with: {path} {sentence}"
    wait_until(lambda: any(said in line["message"] for line in worker.log()), 12, f"the worker to say: {said}")
    assert path.read_text() == "\n" or path.read_text() not in worker.stderr()


@pytest.mark.parametrize("case", ["forged", "for somebody else"])
def test_tokens_that_the_broker_refuses(folder, brokers, names, simulator, case):
    path = folder / "token"
    token = Issuer(folder).renew(path) if case == "forged" else brokers.issuer.renew(path, audience="another service")
    client = Client(folder, brokers.sasl, names, tokens(brokers, path))
    worker = client.worker(simulator)
    wait_until(lambda: "invalid_token" in worker.stderr(), 12, "the worker to be refused")
    assert 'invalid_token"}: check sasl.mechanism' in client.check(worker) and worker.exit_code is None
    assert token not in worker.stderr()


@pytest.mark.long
def test_a_token_that_nobody_renews(folder, brokers, names, simulator):
    """Out of the cluster for a while: it says why, and nothing is lost or doubled when it is let in again."""
    path = folder / "token"
    brokers.issuer.renew(path, life=5)
    worker = Client(folder, brokers.sasl, names, tokens(brokers, path)).worker(simulator).wait_ready()
    produce(brokers.plain, names.requests, [keyed(n) for n in range(20)])
    read_all(brokers.plain, names.outcomes, 20)
    wait_until(lambda: "holds a token that expired at" in worker.stderr(), 30, "the token to be over")
    produce(brokers.plain, names.requests, [keyed(n) for n in range(20, 40)])
    wait_until(lambda: "the group went on without us" in worker.stderr(), 40, "the group to expel it")
    assert worker.get("/readyz")[0] == 503 and worker.exit_code is None
    brokers.issuer.renew(path)
    outcomes = read_all(brokers.plain, names.outcomes, 40)
    assert len({o.json()["sessionId"] for o in outcomes}) == len(outcomes) == 40
    worker.stop_clean()


@pytest.mark.long
def test_a_token_that_comes_late(folder, brokers, names, simulator):
    """The library asks again every ten seconds."""
    path = folder / "token"
    worker = Client(folder, brokers.sasl, names, tokens(brokers, path)).worker(simulator)
    wait_until(lambda: "no token to log in with" in worker.stderr(), 12, "the worker to say it")
    told = "no Kafka broker lets us in: the log says why"
    wait_until(lambda: told in worker.get("/readyz")[1], 12, f"/readyz to tell: {told}")
    brokers.issuer.renew(path)
    produce(brokers.plain, names.requests, [keyed(1)])
    read_all(brokers.plain, names.outcomes, 1)
    worker.stop_clean()
