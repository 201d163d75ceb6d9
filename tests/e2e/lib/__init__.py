"""What the end-to-end and command line tests are written with; the fixtures are in tests/conftest.py.

process     programs under test: started, watched, always stopped
acl         rights of a Kafka user
metadata    what stands beside a group's offset
kafka       topics, producing, reading back: by librdkafka's Python client, which is none of ours
simulator   the Cognigy simulator: its script and its book
worker      one handoffd with a configuration of its own
schema      config/schemas; every record that is read back is held against them
browser     headless Chromium, for the page
pool        several under exactly-once, a load, and the verdict on its outcomes
listener    a server in the test itself; tls and proxy are built on it
tool        handoffctl with the configuration of a test's topics
"""
from lib.kafka import (Kafka, Record, Topics, create_topics, delete_records, end_offsets, group_offsets, grow_topic, kcat,
                       produce, read_all, recreate_topic, request, set_group_offset)
from lib.pool import EXACTLY_ONCE, Load, Pool, keyed, note
from lib.process import PROJECT, Process, binary, free_port, script, wait_until
from lib.simulator import Sandbox
from lib.tool import Tool
from lib.worker import Worker, config_text, libconfig

__all__ = ["EXACTLY_ONCE", "Kafka", "Load", "PROJECT", "Pool", "Process", "Record", "Sandbox", "Tool", "Topics", "Worker",
           "binary", "config_text", "create_topics", "delete_records", "end_offsets", "free_port", "group_offsets", "grow_topic",
           "kcat", "keyed", "libconfig", "note", "produce", "read_all", "recreate_topic", "request", "script",
           "set_group_offset", "wait_until"]
