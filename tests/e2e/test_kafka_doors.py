"""The Kafka doors (src/doors/kafka_*.c) on Apache Kafka: the programs tests/component/test_kafka_{apache,
transactions,failover}.c do the work, here they get their brokers, also such as are killed under them."""
import os
import shlex

import pytest

from conftest import start_kafka, stop_kafka
from lib import Process
from lib.process import binary, script


def run(program, folder, bootstrap, pattern=None, seconds=100, **env):
    """Runs one of the C test programs; every test that the pattern selects must have run."""
    command = [binary(f"tests/component_kafka_{program}")] + ([pattern] if pattern else [])
    process = Process(program, command, folder, env={**os.environ, "HANDOFF_KAFKA": bootstrap, **env})
    code = process.wait(seconds)
    said = process.stdout() + process.stderr()
    assert code == 0, said
    return said


def test_groups_retention_and_policies(apache, folder):
    assert "SKIPPED" not in run("apache", folder, apache.bootstrap)


@pytest.mark.parametrize("pattern", ["records_*", "a_*", "sizes_*", "twins_*"])
def test_batches_exactly_once(apache, folder, pattern):
    assert "SKIPPED" not in run("transactions", folder, apache.bootstrap, pattern)


@pytest.mark.long
@pytest.mark.limit(400)
@pytest.mark.parametrize("brokers, pattern", [(3, "brokers_die*"), (1, "an_outage*")])
def test_batches_survive_their_brokers(folder, brokers, pattern):
    directory = folder / "kafka"
    try:
        bootstrap = start_kafka(directory, brokers)
        control = folder / "control"
        control.write_text(f'#!/bin/sh\nexec {shlex.quote(script("kafka"))} "$@" --dir {shlex.quote(str(directory))}\n')
        control.chmod(0o755)
        said = run("failover", folder, bootstrap, pattern, 300, HANDOFF_KAFKA_CTL=str(control),
                   HANDOFF_KAFKA_BROKERS=str(brokers))
        assert "SKIPPED" not in said and "batches:" in said
    finally:
        stop_kafka(directory)
