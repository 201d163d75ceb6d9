"""Reads a topic as any consumer does and says when each record came: what a worker could have known at the earliest.

    listener.py BOOTSTRAP TOPIC PARTITIONS      prints READY, then a line "KEY UNIX_US" a record, until SIGTERM
"""
import signal
import sys
import time

from confluent_kafka import OFFSET_END, Consumer, TopicPartition


def main(bootstrap, topic, partitions):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "listener", "enable.auto.commit": False,
                         "isolation.level": "read_committed", "log_level": 0})
    consumer.assign([TopicPartition(topic, number, OFFSET_END) for number in range(int(partitions))])
    came, stopped = {}, []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    print("READY", flush=True)
    while not stopped:
        message = consumer.poll(0.1)
        if message is not None and not message.error():
            came[message.key().decode()] = int(time.time() * 1e6)
    print("".join(f"{key} {at}\n" for key, at in came.items()), end="", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
