"""Requests at a steady rate, and everybody's outcomes as they come: two clients that are none of ours."""
import collections
import contextlib
import json
import random
import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from lib import request
from lib.kafka import quiet

AGAIN = 25  # each so manieth request is about the session of a recent one: two of one session may be about at once


def record(number, dice):
    session = f"s{number - dice.randint(1, 10)}" if number > 10 and number % AGAIN == 0 else f"s{number}"
    return {"key": session.encode(), "value": request(session, handoffId=f"h{number}")}


class Load:
    """Begins at once and goes on until stop(). Idempotent: what is doubled later is not this producer's doing. After a
    broker's death librdkafka before 2.3.0 may find its own sequence numbers in disorder, which ends a producer for good: another
    one goes on, and what the first had on its way may have been written or not. So the topic says what was asked."""

    def __init__(self, bootstrap, topic, per_second, seed):
        self.bootstrap, self.topic, self.per_second, self.dice = bootstrap, topic, per_second, random.Random(seed)
        self.count, self.acknowledged, self.trouble, self.producers = 0, set(), [], 0
        self._renew()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _renew(self):
        self.producer = Producer(quiet({"bootstrap.servers": self.bootstrap, "enable.idempotence": True, "linger.ms": 5,
                                        "partitioner": "murmur2_random", "message.timeout.ms": 180000}))
        self.producers += 1

    def _run(self):
        begin = time.monotonic()
        while not self.over.is_set():
            try:
                while self.count < (time.monotonic() - begin) * self.per_second:
                    self.count += 1
                    asked = record(self.count, self.dice)
                    self.producer.produce(self.topic, on_delivery=self._acknowledged(f"h{self.count}"), **asked)
                self.producer.poll(0.02)
            except KafkaException:
                self._renew()

    def _acknowledged(self, name):
        return lambda error, _: None if error else self.acknowledged.add(name)

    def stop(self):
        """What was asked: the ids, as the topic has them."""
        self.over.set()
        self.thread.join()
        with contextlib.suppress(KafkaException):
            self.producer.flush(200)
        found = Reader(self.bootstrap, self.topic).read_to_end()
        twice = [name for name, requests in found.said.items() if len(requests) > 1]
        vanished = self.acknowledged - found.said.keys()
        self.trouble += found.trouble + [f"{name} was asked twice: the load is at fault" for name in twice] + \
            [f"{name} was acknowledged and is not there: Kafka is at fault" for name in sorted(vanished)]
        return set(found.said)


class Reader:
    """A read_committed reader of requests or outcomes; `said`: handoffId -> the documents, in the order of reading."""

    def __init__(self, bootstrap, topic):
        self.topic = topic
        self.said, self.trouble = collections.defaultdict(list), []
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
            document = json.loads(message.value())
            self.said[document["handoffId"]].append({**document, "place": [message.partition(), message.offset()]})
        elif message.error().code() == KafkaError._PARTITION_EOF:  # pylint: disable=protected-access
            self.at_end[message.partition()] = True

    def read_to_end(self, timeout=120):
        """Everything there is now, and closes."""
        deadline = time.monotonic() + timeout
        while not all(self.at_end.values()) and time.monotonic() < deadline:
            self.poll()
        if not all(self.at_end.values()):
            self.trouble.append(f"{self.topic} could not be read to its end")
        self.consumer.close()
        return self
