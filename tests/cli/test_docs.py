"""What the documents show is tried: a reader who copies it must not be the first."""
import json
import re
import subprocess

import pytest

from lib import PROJECT, Sandbox, binary

README = (PROJECT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.M | re.S)


def blocks(language, *words):
    found = [text for its, text in BLOCKS if its == language and all(word in text for word in words)]
    assert found, f"the README has no {language or 'plain'} block with {words}"
    return found


def check_config(folder, text):
    path = folder / "handoffd.conf"
    path.write_text(text)
    return subprocess.run([binary("handoffd"), "-c", path, "--check-config"], capture_output=True, text=True,
                          timeout=20, check=False)


def test_json_examples_are_json():
    for text in blocks("json"):
        json.loads(text)


def test_example_outcome_has_the_members_of_a_real_one():
    (outcome,) = [json.loads(text) for text in blocks("json", '"transfer"')]
    assert list(outcome) == ["handoffId", "batchId", "sessionId", "tenant", "status", "reason", "retryable", "queueId",
                             "transfer", "attempts", "calls", "timing", "error", "source", "worker"]


def test_configuration_example_is_accepted(folder):
    (text,) = blocks("", "kafka   =")
    secret = folder / "secret"
    secret.write_text("s3cret\n")
    done = check_config(folder, text.replace("/run/secrets/cognigy", str(secret)).replace("…", "id"))
    assert done.returncode == 0, done.stderr


def test_complete_configuration_is_accepted(folder):
    text = (PROJECT / "config/handoffd.conf").read_text()
    path = folder / "handoffd.conf"
    path.write_text(text)
    env = {"HANDOFFD_COGNIGY_BASE_URL": "http://127.0.0.1:1/api/v1", "COGNIGY_CLIENT_ID": "id",
           "COGNIGY_CLIENT_SECRET": "x"}
    done = subprocess.run([binary("handoffd"), "-c", path, "--check-config"], capture_output=True, text=True,
                          timeout=20, check=False, env=env)
    assert done.returncode == 0, done.stderr


def test_script_example_is_accepted(folder):
    (text,) = blocks("", "lock every")
    assert Sandbox(folder, broker=False, script=text).stop() == 0


def test_scripts_that_are_named_exist():
    for name in set(re.findall(r"`(?:\./)?(scripts/[\w-]+|config/[\w./-]+|src/[\w./-]+|tests/[\w./-]+)", README)):
        if "MODULE" not in name:
            assert (PROJECT / name).exists(), f"the README names {name}"


@pytest.mark.parametrize("page,program", [("src/worker/handoffd.8", "handoffd"), ("src/ctl/handoffctl.1", "handoffctl"),
                                          ("src/sandbox/handoff-sandbox.1", "handoff-sandbox")])
def test_man_pages_name_every_option_of_the_help(page, program):
    text = (PROJECT / page).read_text().replace("\\-", "-").replace("\\", "")
    done = subprocess.run([binary(program), "--help"], capture_output=True, text=True, timeout=20, check=True)
    flat = re.sub(r"[^\w-]+", " ", text)
    for option in sorted(set(re.findall(r"--[a-z][a-z-]+", done.stdout))):
        assert option in text or f"Fl -{option[2:]}" in text or option[2:] in flat, f"{page} does not name {option}"
