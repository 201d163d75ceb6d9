"""A steady load of requests, and how long they took by their own outcomes."""
import threading
import time
import uuid

from confluent_kafka import Producer

from lib import read_all, request, wait_until


class Steady:
    """So many requests a second to one topic, for so long, in a thread of its own."""

    def __init__(self, stage, topic, per_second, seconds, **fields):
        self.stage, self.topic, self.fields = stage, topic, fields
        self.batch = uuid.uuid4().hex[:8]
        self.count = int(per_second * seconds)
        self.thread = threading.Thread(target=self._run, args=(per_second,), daemon=True)
        self.thread.start()

    def _run(self, per_second):
        # One client for all: a new one takes up to a second until its first record is out.
        producer = Producer({"bootstrap.servers": self.stage.kafka.bootstrap, "linger.ms": 0, "log_level": 0})
        producer.list_topics(self.topic, timeout=30)
        begin = time.monotonic()
        for n in range(self.count):
            time.sleep(max(0, begin + n / per_second - time.monotonic()))
            key = f"{self.batch}-{n}"
            producer.produce(self.topic, key=key.encode(),
                             value=request(key, batchId=self.batch, ttlMs=600000, **self.fields))
            producer.poll(0)
        producer.flush(30)

    def times(self, timeout=120):
        """Milliseconds from the request to its outcome, sorted, of all that completed."""
        self.thread.join()
        found = []

        def ended():
            found[:] = [record.json() for record in read_all(self.stage.kafka.bootstrap, self.stage.topics.outcomes)
                        if record.header("handoff-batch") == self.batch]
            return len(found) >= self.count
        wait_until(ended, timeout, f"{self.count} outcomes")
        assert all(outcome["status"] == "completed" for outcome in found), "a request of the steady load did not complete"
        return sorted(outcome["timing"]["totalMs"] for outcome in found)


def part(times, of_all):
    """The time within which that part of all ended."""
    return times[min(len(times) - 1, int(len(times) * of_all))]
