"""Topics and records, by a client that is none of ours: what it reads is what everybody else would read."""
import ctypes
import dataclasses
import json
import subprocess
import time
import uuid

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from lib import schema
from lib.process import wait_until

PARTITIONS = 4


@dataclasses.dataclass
class Topics:
    """The names of one worker pool: its four topics and its consumer group."""
    requests: str = "handoff.requests"
    retry: str = "handoff.retry"
    outcomes: str = "handoff.outcomes"
    dead_letters: str = "handoff.dlq"
    group: str = "handoffd"
    partitions: int = PARTITIONS

    @classmethod
    def unique(cls, partitions=PARTITIONS):
        prefix = f"t{uuid.uuid4().hex[:10]}"
        return cls(f"{prefix}.requests", f"{prefix}.retry", f"{prefix}.outcomes", f"{prefix}.dlq", f"{prefix}.group",
                   partitions)

    def all(self):
        return [self.requests, self.retry, self.outcomes, self.dead_letters]


@dataclasses.dataclass
class Kafka:
    """Where a broker is, and which kind: "apache" or "sandbox" (librdkafka's mock: no admin calls, no transactions)."""
    bootstrap: str
    kind: str


@dataclasses.dataclass
class Record:
    topic: str
    partition: int
    offset: int
    timestamp: int  # Unix ms
    key: bytes
    value: bytes
    headers: dict  # name -> bytes; a name that comes twice fails the reading

    def header(self, name):
        """The header's text, or None."""
        value = self.headers.get(name)
        return None if value is None else value.decode()

    def json(self):
        return json.loads(self.value)


def quiet(config):
    """Client errors reach the test as exceptions; librdkafka's own lines on stderr would only repeat them."""
    return {**config, "log_level": 0}


def create_topics(bootstrap, partitions, **config):
    """partitions: topic -> count. Returns when every partition answers: a creation is acknowledged before its leaders
    have taken over, and whoever asks in between is told NOT_LEADER_FOR_PARTITION."""
    admin = AdminClient(quiet({"bootstrap.servers": bootstrap}))
    brokers = len(admin.list_topics(timeout=30).brokers)
    topics = [NewTopic(name, num_partitions=count, replication_factor=min(3, brokers), config=config)
              for name, count in partitions.items()]
    for future in admin.create_topics(topics, operation_timeout=30).values():
        future.result(30)
    consumer = Consumer(quiet({"bootstrap.servers": bootstrap, "group.id": "reader"}))
    try:
        for name, count in partitions.items():
            for number in range(count):
                wait_until(lambda place=TopicPartition(name, number): answers(consumer, place), 30,
                           f"{name}/{number} to have a leader")
    finally:
        consumer.close()


def grow_topic(bootstrap, topic, partitions):
    admin = AdminClient(quiet({"bootstrap.servers": bootstrap}))
    admin.create_partitions([NewPartitions(topic, partitions)], operation_timeout=30)[topic].result(30)


def recreate_topic(bootstrap, topic, partitions):
    """Deletes the topic with everything in it and creates another of that name."""
    admin = AdminClient(quiet({"bootstrap.servers": bootstrap}))
    admin.delete_topics([topic], operation_timeout=30)[topic].result(30)
    wait_until(lambda: topic not in admin.list_topics(timeout=30).topics, 30, f"{topic} to be gone")
    create_topics(bootstrap, {topic: partitions})


def delete_records(bootstrap, topic, partition, before):
    """As retention would: what lies below offset `before` is removed. The Python client cannot ask for that, its
    library can."""
    library = ctypes.CDLL("librdkafka.so.1")
    pointers = ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_topic_partition_list_new", "rd_kafka_DeleteRecords_new",
                "rd_kafka_topic_partition_list_add", "rd_kafka_queue_new", "rd_kafka_queue_poll")
    for name in pointers:
        getattr(library, name).restype = ctypes.c_void_p
    pointer, conf = ctypes.c_void_p, library.rd_kafka_conf_new()
    for name, value in ((b"bootstrap.servers", bootstrap.encode()), (b"log_level", b"0")):
        library.rd_kafka_conf_set(pointer(conf), name, value, None, 0)
    client = pointer(library.rd_kafka_new(0, pointer(conf), None, 0))
    places = pointer(library.rd_kafka_topic_partition_list_new(1))
    library.rd_kafka_topic_partition_list_add(places, topic.encode(), partition)
    library.rd_kafka_topic_partition_list_set_offset(places, topic.encode(), partition, ctypes.c_int64(before))
    wanted = pointer(library.rd_kafka_DeleteRecords_new(places))
    queue = pointer(library.rd_kafka_queue_new(client))
    library.rd_kafka_DeleteRecords(client, ctypes.byref(wanted), 1, None, queue)
    event = pointer(library.rd_kafka_queue_poll(queue, 30000))
    assert event, "no answer to the deletion of records"
    library.rd_kafka_event_destroy(event)
    library.rd_kafka_DeleteRecords_destroy(wanted)
    library.rd_kafka_topic_partition_list_destroy(places)
    library.rd_kafka_queue_destroy(queue)
    library.rd_kafka_destroy(client)
    consumer = Consumer(quiet({"bootstrap.servers": bootstrap, "group.id": "reader"}))
    try:
        place = TopicPartition(topic, partition)
        wait_until(lambda: consumer.get_watermark_offsets(place, timeout=30)[0] == before, 30, "the records to be gone")
    finally:
        consumer.close()


def set_group_offset(bootstrap, group, topic, partition, offset):
    """Of a group without members."""
    consumer = Consumer(quiet({"bootstrap.servers": bootstrap, "group.id": group}))
    try:
        consumer.commit(offsets=[TopicPartition(topic, partition, offset)], asynchronous=False)
    finally:
        consumer.close()


def answers(consumer, place):
    try:
        return consumer.get_watermark_offsets(place, timeout=10) is not None
    except KafkaException:
        return False


def request(session_id, queue_id="a1b2c3d4-e5f6-7890-abcd-ef1234567890", **fields):
    """The value of a bare JSON request."""
    return json.dumps({"sessionId": session_id, "queueId": queue_id, **fields}).encode()


def produce(bootstrap, topic, records, config=None):
    """Writes records in order and returns their (partition, offset), all acknowledged.

    A record is a dict for confluent_kafka's produce(): value, key, headers, partition, timestamp. The producer is
    idempotent: a broker's death doubles nothing, so what is doubled later is the worker's doing.
    """
    producer = Producer(quiet({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5,
                               "partitioner": "murmur2_random", "message.timeout.ms": 180000, **(config or {})}))
    places = [None] * len(records)
    errors = []

    def delivered(index):
        def report(error, message):
            if error:
                errors.append(error.str())
            else:
                places[index] = (message.partition(), message.offset())
        return report

    for index, record in enumerate(records):
        while True:
            try:
                producer.produce(topic, on_delivery=delivered(index), **record)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(200)
    assert not errors and left == 0, f"{len(errors) + left} of {len(records)} not written: {errors[:3]}"
    return places


def read_all(bootstrap, topic, count=None, timeout=60, isolation="read_committed"):
    """All records of a topic, in order per partition: at least `count` (fails when they do not come in time), and
    whatever else is there when the last of them has come. Without `count`: what is there now."""
    consumer = Consumer(quiet({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False,
                               "isolation.level": isolation, "enable.partition.eof": True,
                               "auto.offset.reset": "earliest", "fetch.wait.max.ms": 50}))
    try:
        return _read_all(consumer, topic, count, time.monotonic() + timeout)
    finally:
        consumer.close()


def _read_all(consumer, topic, count, deadline):
    partitions = list(consumer.list_topics(topic, timeout=30).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    found, at_end = [], set()
    while len(found) < (count or 0) or len(at_end) < len(partitions):
        if time.monotonic() > deadline:
            raise AssertionError(f"{len(found)} of {count or 'all'} records came out of {topic} in time")
        message = consumer.poll(0.2)
        if message is None:
            continue
        if not message.error():
            found.append(_record(message))
            at_end.discard(message.partition())
        elif message.error().code() == KafkaError._PARTITION_EOF:
            at_end.add(message.partition())
        elif not message.error().retriable():
            raise KafkaException(message.error())
    return found


def _record(message):
    headers = message.headers() or []
    names = [name for name, _ in headers]
    assert len(names) == len(set(names)), f"a header comes twice in {message.topic()}: {names}"
    record = Record(message.topic(), message.partition(), message.offset(), message.timestamp()[1], message.key(),
                    message.value(), dict(headers))
    schema.check_record(record)
    return record


def end_offsets(bootstrap, topic):
    """partition -> where the next record will go"""
    consumer = Consumer(quiet({"bootstrap.servers": bootstrap, "group.id": "reader"}))
    try:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        return {number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)[1]
                for number in partitions}
    finally:
        consumer.close()


def group_offsets(bootstrap, group, topic, partitions):
    """partition -> the group's committed offset (None where there is none), without joining the group"""
    consumer = Consumer(quiet({"bootstrap.servers": bootstrap, "group.id": group, "isolation.level": "read_committed"}))
    try:
        asked = [TopicPartition(topic, number) for number in range(partitions)]
        return {place.partition: place.offset if place.offset >= 0 else None
                for place in consumer.committed(asked, timeout=30)}
    finally:
        consumer.close()


def kcat(bootstrap, *arguments, data=None, timeout=60):
    """Runs kcat, a second independent client, and returns its stdout as bytes."""
    done = subprocess.run(["kcat", "-b", bootstrap, "-q", *arguments], input=data, capture_output=True,
                          timeout=timeout, check=False)
    assert done.returncode == 0, f"kcat {arguments}: {done.stderr.decode(errors='replace')}"
    return done.stdout
