"""Three brokers, the simulator and the workers, and what the plan's verbs do to them."""
import contextlib
import json
import os
import re
import shutil
import subprocess
import threading
import time

from lib import Kafka, Pool, Process, Sandbox, script, wait_until
from plan import CALM, LONGEST_CALL

# A killed KRaft broker is noticed after 9 s by default; nothing fails over before.
QUICK = ("broker.session.timeout.ms=3000", "broker.heartbeat.interval.ms=500")
PARTITIONS = 8
OPEN_MS = 30000  # a call that is older will not be answered any more
LEAVING_SECONDS = 90  # drain_ms, revoke_ms, and a transaction that waits for a dead broker's successor
# No disturbance is so long that a request may end for want of tries; pauses are short, so that the run drains soon.
RETRY = {"max_delay_ms": 4000, "budget_rate_limited": 1000, "budget_locked": 1000, "budget_server": 1000, "budget_timeout": 1000}


class Cluster:
    """Three brokers of scripts/kafka."""

    def __init__(self, folder):
        self.folder = folder / "kafka"
        settings = [word for setting in QUICK for word in ("--set", setting)]
        said = self._run("start", "--brokers", "3", "--owner", os.getpid(), *settings).stdout
        self.bootstrap = said.split("bootstrap.servers=", 1)[1].split("\n", 1)[0]
        self.cycles = 0

    def _run(self, *words):
        return subprocess.run([script("kafka"), *map(str, words), "--dir", str(self.folder)], capture_output=True, text=True,
                              timeout=120, check=True)

    def broken(self, number):
        self._run("kill", number)

    def mended(self, number):
        self._run("restart", number)
        self.cycles += 1

    def stop(self, keep_in):
        for log in self.folder.glob("broker-*/log"):
            shutil.copy(log, keep_in / f"{log.parent.name}.log")
        self._run("stop")


class Member:
    """One process under a name. `rebalances`: as last seen, for a killed one cannot be asked."""

    def __init__(self, process):
        self.process, self.rebalances, self.expected_to_end = process, 0, False

    def look(self):
        with contextlib.suppress(AssertionError, OSError, ValueError):
            text = self.process.get("/metrics")[1]
            found = re.search(r"^handoffd_rebalances_total (\S+)", text, re.M)
            self.rebalances = int(float(found[1])) if found else self.rebalances


class Stage:
    def __init__(self, folder, plan):
        self.folder, self.plan = folder, plan
        self.cluster = Cluster(folder)
        self.simulator = Sandbox(folder, broker=False, name="simulator")
        self.simulator.script(*CALM)
        self.pool = Pool(folder, Kafka(self.cluster.bootstrap, "apache"), self.simulator, partitions=PARTITIONS,
                         **{"min.insync.replicas": "2"})
        self.members, self.by_name, self.trouble, self.leaving = [], {}, [], []
        self.counts = {"kills": 0, "freezes": 0}
        self.frozen, self.next_call = set(), 0
        for name in plan.first:
            self.start(name)
        for member in self.members:
            member.process.wait_ready()

    # --- the verbs --------------------------------------------------------------------------------------------------

    def start(self, name):
        process = self.pool.start(name, ready=False, retry=RETRY, limits={"breaker_open_ms": 1000},
                                  cognigy={f"{step}_timeout_ms": (LONGEST_CALL - 1) * 1000
                                           for step in ("fetch", "update", "trigger")},
                                  kafka={"static_membership": name in self.plan.static,
                                         "properties": [f"session.timeout.ms={self.plan.session_timeout_ms}"]})
        self.by_name[name] = Member(process)
        self.members.append(self.by_name[name])

    def kill(self, name):
        self._end(name).kill()
        self.frozen.discard(name)
        self.counts["kills"] += 1

    def freeze(self, name):
        self._living(name).freeze()
        self.frozen.add(name)
        self.counts["freezes"] += 1

    def thaw(self, name):
        self._living(name).thaw()
        self.frozen.discard(name)

    def leave(self, name):
        process = self._end(name)
        thread = threading.Thread(target=self._leave, args=(process,), daemon=True)
        thread.start()
        self.leaving.append(thread)

    def broken(self, number):
        self.cluster.broken(number)

    def mended(self, number):
        self.cluster.mended(number)

    def script(self, lines):
        self.simulator.script(*lines.split("; "))

    def calm(self, _):
        self.simulator.script(*CALM)

    def _leave(self, process):
        try:
            code = process.stop(LEAVING_SECONDS)
            if code != 0:
                self.trouble.append(f"{process.name} was asked to leave and ended with {code}")
        except AssertionError as error:
            self.trouble.append(str(error))

    def _end(self, name):
        self.by_name[name].look()
        self.by_name[name].expected_to_end = True
        return self._living(name)

    def _living(self, name):
        process = self.by_name[name].process
        if process.exit_code is not None:
            self.trouble.append(f"{name} had ended by itself, with {process.exit_code}")
        return process

    # --- watching, and the end --------------------------------------------------------------------------------------

    def look(self):
        """The figures of those who can answer."""
        for name, member in list(self.by_name.items()):
            if not member.expected_to_end and name not in self.frozen and member.process.exit_code is None:
                member.look()

    def keep_calls(self, all_of_them=False):
        """The simulator keeps its last 50,000 calls only; who looks for a cause may need an older one. What became of an open
        one is not known yet: it is left for the next time, and so is what came after it."""
        calls, _ = self.simulator.calls_since(self.next_call)
        newest = calls[-1]["ms"] if calls else 0
        with open(self.folder / "calls.ndjson", "a", encoding="utf-8") as file:
            for call in calls:
                if call["tookUs"] < 0 and call["ms"] > newest - OPEN_MS and not all_of_them:
                    break
                file.write(json.dumps({name: value for name, value in call.items() if name != "body"}) + "\n")
                self.next_call = call["seq"] + 1

    def calls(self):
        """All of the run."""
        self.keep_calls(all_of_them=True)
        with open(self.folder / "calls.ndjson", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def rebalances(self):
        return sum(member.rebalances for member in self.members)

    def close_pool(self):
        """Everybody leaves; whoever had ended by himself is told of."""
        for name, member in list(self.by_name.items()):
            if not member.expected_to_end:
                member.look()
                self.leave(name)
        for thread in self.leaving:
            thread.join()

    def close(self):
        try:
            Process.end_all()
        finally:
            self.cluster.stop(self.folder)


def wait(condition, timeout):
    """Whether it came true in time."""
    try:
        return bool(wait_until(condition, timeout))
    except AssertionError:
        return False
