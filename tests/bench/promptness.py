"""How late things begin: a record's first call, a parked retry, the first handoff of a worker that was just started.

The origin notes when a session was fetched; when that was due is known here. What is due comes at random times that were
drawn before, whatever became of those before it, and counts from when it was due, not from when this program came to send
it: so waiting behind a slow one is counted (no coordinated omission).
"""
import contextlib
import pathlib
import random
import re
import subprocess
import sys
import time
import uuid

from confluent_kafka import Producer

from crew import PATIENCE, Crew, pinned
from stage import produce, request, wait_until

SECONDS = 8
PARKED = 100000
RUN = 16
RETRIES_PER_SECOND = 60
LATEST = 30  # seconds behind the last due time


def moments(per_second, seconds, seed=1):
    """Seconds from the beginning: a Poisson process."""
    dice, at, found = random.Random(seed), 0.0, []
    while (at := at + dice.expovariate(per_second)) < seconds:
        found.append(at)
    return found


def lateness(origin, due):
    """Milliseconds, sorted; what has not come when the patience is over counts as late as that. `due`: session -> Unix us"""
    deadline = max(due.values()) / 1e6 + LATEST
    came = {}
    while not due.keys() <= came.keys() and time.time() < deadline:
        time.sleep(0.2)
        came = origin.fetched()
    now_us = time.time() * 1e6
    return sorted((came.get(session, now_us) - at) / 1000 for session, at in due.items())


def send_at(crew, offsets):
    """session -> when its record was due, and session -> when the broker had it in its log; Unix us. Runs of records go
    to one partition, so that the broker, which shares its processor with much else, gets them in batches."""
    producer = Producer({"bootstrap.servers": crew.kafka.bootstrap, "linger.ms": 5, "log_level": 0})
    producer.list_topics(crew.topics.requests, timeout=30)
    prefix, begin, due, appended = uuid.uuid4().hex[:8], time.time() + 0.2, {}, {}

    def acknowledged(error, message):
        assert not error, error
        appended[message.key().decode()] = message.timestamp()[1] * 1000
    for number, offset in enumerate(offsets):
        session = f"{prefix}-{number}"
        while (wait := begin + offset - time.time()) > 0:
            producer.poll(wait)
        due[session] = int((begin + offset) * 1e6)
        producer.produce(crew.topics.requests, key=session.encode(), value=request(session), on_delivery=acknowledged,
                         partition=number // RUN % crew.topics.partitions)
        producer.poll(0)
    producer.flush(30)
    return due, appended


@contextlib.contextmanager
def listener(crew):
    """A consumer that does nothing else, beside the worker on its processor; yields what to call for session -> when its
    record came there, Unix us, once."""
    with subprocess.Popen([*pinned(), sys.executable, str(pathlib.Path(__file__).with_name("listener.py")),
                           crew.kafka.bootstrap, crew.topics.requests, str(crew.topics.partitions)],
                          stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "READY\n", "the listener has ended"

        def came():
            process.terminate()
            return {key: int(at) for key, at in map(str.split, process.communicate(timeout=60)[0].splitlines())}
        try:
            yield came
        finally:
            process.kill()


def first_call(machine, per_second):
    """Ms, sorted: to a record's first call from when it was due, and from when the broker had it; and from the latter
    until a consumer beside the worker had it."""
    with machine.origin(delay_ms=20, notes=True) as origin:
        crew = Crew(machine, origin, config={"message.timestamp.type": "LogAppendTime"}).start()
        with listener(crew) as heard:
            lateness(origin, send_at(crew, moments(per_second, 3))[0])  # the broker's own first seconds are slow
            due, appended = send_at(crew, moments(per_second, SECONDS, seed=2))
            found = lateness(origin, due), lateness(origin, appended)
            came = heard()
        crew.stop()
    assert appended.keys() <= came.keys(), "the listener has missed records"
    return *found, sorted((came[session] - at) / 1000 for session, at in appended.items())


def retry(crew, number, due_ms, now_ms):
    session, partition = f"r-{number}-{due_ms}", number % crew.topics.partitions
    return session, {"key": session.encode(), "value": request(session), "partition": partition, "headers": {
        "handoff-id": session, "handoff-attempt": "2", "handoff-not-before": str(due_ms),
        "handoff-first-seen": str(now_ms), "handoff-deadline": str(due_ms + 3_600_000), "handoff-resume": "fetch",
        "handoff-reason": "session.locked", "handoff-budget": "rate_limited=0,locked=1,server=0,timeout=0",
        "handoff-origin": f"{crew.topics.requests}/{partition}/{number}",
        "handoff-progress": f"requestedAt={now_ms},startedAt={now_ms},fetch=1"}}


def park(crew, due):
    """Writes retries that are due then (Unix ms). Returns session -> when, Unix us."""
    now_ms = int(time.time() * 1000)
    retries = [retry(crew, number, at, now_ms) for number, at in enumerate(due)]
    produce(crew.kafka.bootstrap, crew.topics.retry, [record for _, record in retries])
    return {session: at * 1000 for (session, _), at in zip(retries, due)}


def retries(machine, parked):
    """(ms from a retry's due time to its call, sorted; how many others, due in hours, the worker held meanwhile)"""
    with machine.origin(delay_ms=1, notes=True) as origin:
        crew = Crew(machine, origin).start()
        worker, = crew.workers
        if parked:
            park(crew, [int(time.time() * 1000) + 7_200_000] * parked)
            wait_until(lambda: worker.metric("handoffd_parked") > 0, PATIENCE, "retries to be parked")
            wait_quiet(worker)
        held = int(worker.metric("handoffd_parked"))
        begin = int(time.time() * 1000) + 2000
        times = lateness(origin, park(crew, [begin + int(at * 1000) for at in moments(RETRIES_PER_SECOND, SECONDS)]))
        worker.kill()  # nothing hangs on it, and to park them all anew takes long
    return times, held


def wait_quiet(worker):
    """It has read what there was: it needs next to no CPU."""
    def quiet():
        before = worker.cpu_seconds()
        time.sleep(0.5)
        return worker.cpu_seconds() - before < 0.05
    wait_until(quiet, PATIENCE, "the worker to rest")


def assigned_at(worker):
    """Unix seconds, by its log; None so far"""
    for line in worker.log():
        if re.fullmatch(r"assigned [1-9]\d* partitions", line["message"]):
            moment, fraction = re.fullmatch(r"(.*)\.(\d+)Z", line["time"]).groups()
            return calendar_seconds(moment) + float(f"0.{fraction}")
    return None


def calendar_seconds(text):
    return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S")) - time.timezone


def starts(machine, times):
    """[(ms from the start of the process, ms from its assignment) to the first call], for a record that waits for it"""
    found = []
    with machine.origin(notes=True) as origin:
        for _ in range(times):
            crew = Crew(machine, origin)
            crew.ask(1)
            known, begin = origin.fetched().keys(), time.time()
            worker = crew.launch().wait_ready()

            def came(known=known):
                return next((at for session, at in origin.fetched().items() if session not in known), None)
            first = wait_until(came, PATIENCE, "the first call") / 1e6
            found.append(((first - begin) * 1000, (first - assigned_at(worker)) * 1000))
            crew.stop()
    return found
