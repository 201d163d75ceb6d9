"""What the end-to-end and command line tests are written with; the fixtures are in tests/conftest.py.

process     programs under test: started, watched, always stopped
kafka       topics, producing, reading back: by librdkafka's Python client, which is none of ours
simulator   the Cognigy simulator: its script and its book
worker      one handoffd with a configuration of its own
"""
from lib.kafka import (Kafka, Record, Topics, create_topics, end_offsets, group_offsets, kcat, produce, read_all,
                       request)
from lib.process import PROJECT, Process, binary, free_port, script, wait_until
from lib.simulator import Sandbox
from lib.worker import Worker, config_text, libconfig

__all__ = ["Kafka", "PROJECT", "Process", "Record", "Sandbox", "Topics", "Worker", "binary", "config_text", "create_topics",
           "end_offsets", "free_port", "group_offsets", "kcat", "libconfig", "produce", "read_all", "request", "script",
           "wait_until"]
