"""One handoffd with a configuration of its own."""
import json
import re
import signal
import time
import urllib.error
import urllib.request

from lib.process import Process, binary, free_port, wait_until

SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def libconfig(value, indent=0):
    """A Python value as libconfig writes it: dict = group, list = list of groups or array of scalars."""
    pad = "  " * indent
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}L" if abs(value) > 2**31 - 1 else str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return "{\n" + "".join(f"{pad}  {name} = {libconfig(item, indent + 1)};\n" for name, item in value.items()) + \
            pad + "}"
    items = ", ".join(libconfig(item, indent) for item in value)
    return f"( {items} )" if any(isinstance(item, dict) for item in value) else f"[ {items} ]"


def config_text(settings):
    return "".join(f"{section} = {libconfig(value)};\n" for section, value in settings.items())


def merged(base, changes):
    """Sections of `changes` over those of `base`; a key that is None is left out of the file."""
    result = {section: dict(value) if isinstance(value, dict) else value for section, value in base.items()}
    for section, value in changes.items():
        if isinstance(value, dict):
            result[section] = {key: item for key, item in {**result.get(section, {}), **value}.items()
                               if item is not None}
        else:
            result[section] = value
    return result


def samples(text):
    """(name, frozenset of (label, value)) -> number, of every sample in Prometheus' text format"""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            match = SAMPLE.fullmatch(line)
            assert match, f"no Prometheus sample: {line}"
            key = match["name"], frozenset(LABEL.findall(match["labels"] or ""))
            assert key not in found, f"a sample comes twice: {line}"
            found[key] = float(match["value"])
    return found


class Worker(Process):
    """A handoffd that was started; wait_ready() before relying on it."""

    def __init__(self, folder, kafka, topics, sandbox, /, name="handoffd", env=None, stderr=None, most_files=None,
                 under=(), **changes):
        """`changes`: sections of the configuration, e.g. retry={"base_delay_ms": 100}; `under`: a command that runs it."""
        self.kafka = kafka
        self.topics = topics
        self.admin_port = free_port()
        self.settings = merged(self.defaults(sandbox), changes)
        self.config_path = folder / f"{name}.conf"
        self.config_path.write_text(config_text(self.settings))
        super().__init__(name, [*under, binary("handoffd"), "-c", self.config_path], folder, env, stderr,
                         most_files)

    def defaults(self, sandbox):
        names = self.topics
        return {
            "kafka": {"brokers": self.kafka.bootstrap, "group": names.group, "requests": [names.requests],
                      "retry": names.retry, "outcomes": names.outcomes, "dead_letters": names.dead_letters,
                      "delivery": "at-least-once",
                      # Below the default: a crashed worker's partitions are taken over within a test's patience, and
                      # librdkafka's mock lets every join wait for the session time-out less a second.
                      "properties": [f"session.timeout.ms={6000 if self.kafka.kind == 'apache' else 3000}"]},
            "cognigy": {"base_url": sandbox.base_url, "client_id": sandbox.client_id,
                        "client_secret": sandbox.client_secret},
            "admin": {"listen": f"127.0.0.1:{self.admin_port}"},
            "log": {"level": "debug"},
        }

    # --- what it says ---------------------------------------------------------------------------------------------

    def log(self):
        """Its log so far: one dict per line; whatever is no JSON object fails the test."""
        text = self.stderr()
        whole = text[:text.rfind("\n") + 1]
        return [json.loads(line) for line in whole.splitlines()]

    def get(self, path):
        """(status, body) of the admin server; (0, "") while nobody answers there."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}{path}", timeout=5) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def status(self):
        code, body = self.get("/status")
        assert code == 200, f"/status answered {code}"
        return json.loads(body)

    def metrics_text(self):
        code, body = self.get("/metrics")
        assert code == 200, f"/metrics answered {code}"
        return body

    def metrics(self):
        """(name, frozenset of (label, value)) -> number, of every sample"""
        return samples(self.metrics_text())

    def metric(self, name, **labels):
        """The sum of all samples of that name whose labels include the given ones; 0 where none has come yet, but the
        name itself must be there from the start."""
        body = self.metrics_text()
        base = re.sub("_(sum|count|bucket)$", "", name)
        assert re.search(f"^# TYPE ({name}|{base}) ", body, re.M), f"there is no metric {name}"
        wanted = set(labels.items())
        return sum(value for (found, its), value in samples(body).items() if found == name and wanted <= its)

    def owned(self, topic):
        """How many partitions of the topic it reads."""
        return sum(1 for name, labels in self.metrics()
                   if name == "handoffd_consumer_lag" and ("topic", topic) in labels)

    def wait_idle(self, timeout=20):
        """Until its last batch was answered: the count of transactions stands still."""
        def still():
            before = self.metric("handoffd_transactions_total")
            time.sleep(0.5)
            return self.metric("handoffd_transactions_total") == before
        wait_until(still, timeout, f"{self.name} to be idle")

    # --- its life ---------------------------------------------------------------------------------------------------

    def wait_ready(self, timeout=60):
        def ready():
            self.check_alive()
            return self.get("/readyz")[0] == 200
        try:
            wait_until(ready, timeout, f"{self.name} to be ready")
        except AssertionError as error:
            raise AssertionError(f"{error}; /readyz says {self.get('/readyz')}") from None
        return self

    def stop_clean(self, timeout=40):
        """SIGTERM, and the exit must be a clean one."""
        code = self.stop(timeout)
        assert code == 0, f"{self.name} ended with {code}, not 0"

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)
