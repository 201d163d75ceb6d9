"""Requests at a steady rate, and everybody's outcomes as they come: two clients that are none of ours."""
import collections
import json
import random
import threading
import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from lib import request
from lib.kafka import quiet

AGAIN = 25  # each so manieth request is about the session of a recent one: two of one session may be about at once


def record(number, dice):
    session = f"s{number - dice.randint(1, 10)}" if number >= 10 and number % AGAIN == 0 else f"s{number}"
    return {"key": session.encode(), "value": request(session, handoffId=f"h{number}")}


class Load:
    """Begins at once and goes on until stop(). Idempotent: what is doubled later is not this producer's doing."""

    def __init__(self, bootstrap, topic, per_second, seed):
        self.topic, self.per_second, self.dice = topic, per_second, random.Random(seed)
        self.asked, self.written, self.trouble = 0, 0, []
        self.producer = Producer(quiet({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5,
                                        "partitioner": "murmur2_random", "message.timeout.ms": 180000}))
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        begin = time.monotonic()
        while not self.over.is_set():
            while self.asked < (time.monotonic() - begin) * self.per_second:
                self.producer.produce(self.topic, on_delivery=self._written, **record(self.asked, self.dice))
                self.asked += 1
            self.producer.poll(0.02)

    def _written(self, error, _):
        if error:
            self.trouble.append(f"a request could not be written: {error.str()}")
        else:
            self.written += 1

    def stop(self):
        self.over.set()
        self.thread.join()
        left = self.producer.flush(200)
        if left:
            self.trouble.append(f"{left} requests could not be written in time")


class Reader:
    """A read_committed reader of the outcomes; `outcomes`: handoffId -> what was said of it, in the order of reading."""

    def __init__(self, bootstrap, topic):
        self.outcomes, self.trouble = collections.defaultdict(list), []
        self.consumer = Consumer(quiet({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False,
                                        "isolation.level": "read_committed", "enable.partition.eof": True,
                                        "auto.offset.reset": "earliest"}))
        partitions = self.consumer.list_topics(topic, timeout=30).topics[topic].partitions
        self.at_end = {number: False for number in partitions}
        self.consumer.assign([TopicPartition(topic, number, 0) for number in partitions])

    def poll(self, timeout=0.2):
        message = self.consumer.poll(timeout)
        if message is None:
            return
        if not message.error():
            self.at_end[message.partition()] = False
            outcome = json.loads(message.value())
            self.outcomes[outcome["handoffId"]].append({**outcome, "place": [message.partition(), message.offset()]})
        elif message.error().code() == KafkaError._PARTITION_EOF:  # pylint: disable=protected-access
            self.at_end[message.partition()] = True

    def read_to_end(self, timeout=120):
        """Everything there is now, and closes."""
        deadline = time.monotonic() + timeout
        while not all(self.at_end.values()) and time.monotonic() < deadline:
            self.poll()
        if not all(self.at_end.values()):
            self.trouble.append("the outcomes could not be read to their end")
        self.consumer.close()
        return self
