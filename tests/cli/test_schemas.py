"""config/schemas: each is a schema, the AsyncAPI document refers to what is there, and every example in it and in the
README is as they say. That every record which an end-to-end test reads is, too, lib/kafka.py sees to."""
import json
import re

import jsonschema
import pytest
import yaml

from lib import PROJECT, schema

DOCUMENT = yaml.safe_load((schema.FOLDER / "asyncapi.yaml").read_text())
README = (PROJECT / "README.md").read_text()
CONTRACT = (PROJECT / "include/handoff/contract.h").read_text()
NAMES = [path.name.removesuffix(".schema.json") for path in sorted(schema.FOLDER.glob("*.schema.json"))]


def messages():
    return DOCUMENT["components"]["messages"].items()


def name_in(reference):
    return reference["$ref"].removesuffix(".schema.json")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_schema(name):
    jsonschema.Draft202012Validator.check_schema(json.loads((schema.FOLDER / f"{name}.schema.json").read_text()))


def test_statuses_and_reasons_are_the_programs():
    """What rules/reason.c can say, and nothing else."""
    outcome = schema.validator("outcome").schema
    table = (PROJECT / "src/rules/reason.c").read_text()
    written = set(re.findall(r'"([a-z]+\.[a-z_]+)"', table)) | {"ok"}
    assert set(outcome["$defs"]["reason"]["enum"]) == written
    assert [reason for case in outcome["oneOf"] for reason in case["properties"]["reason"]["enum"]] == \
        outcome["$defs"]["reason"]["enum"]


def test_headers_are_the_programs():
    """Every header of ours is described by one of the schemas, and none that we do not know."""
    ours = set(re.findall(r'#define HDR_\w+\s+"(handoff-[a-z-]+)"', CONTRACT))
    described = {name for kind in NAMES if kind.endswith(".headers")
                 for name in schema.validator(kind).schema["properties"] if name.startswith("handoff-")}
    assert described == ours


def test_asyncapi_names_our_topics_and_schemas():
    topics = dict(re.findall(r'#define TOPIC_(\w+)\s+"([\w.]+)"', CONTRACT))
    assert {channel["address"] for channel in DOCUMENT["channels"].values()} == set(topics.values())
    for _, message in messages():
        for part in ("headers", "payload"):
            if "$ref" in message.get(part, {}):
                assert (schema.FOLDER / message[part]["$ref"]).is_file()


def test_asyncapi_refers_to_what_is_there():
    for reference in re.findall(r'\$ref: "#/([^"]+)"', (schema.FOLDER / "asyncapi.yaml").read_text()):
        found = DOCUMENT
        for word in reference.split("/"):
            assert word in found, reference
            found = found[word]


def test_examples_of_asyncapi():
    for name, message in messages():
        assert message["examples"], name
        for example in message["examples"]:
            for part in ("headers", "payload"):
                if part in example and "$ref" in message[part]:
                    schema.check(name_in(message[part]), example[part])


def test_examples_of_the_readme():
    examples = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", README, re.M | re.S)]
    lines = re.findall(r"echo '(\{.*?\})'", README)
    assert len(examples) >= 2 and lines
    for example in examples + [json.loads(line) for line in lines]:
        schema.check("outcome" if "status" in example else "request", example)


@pytest.mark.parametrize("name,document,word", [
    ("request", {"sessionId": "s"}, "queueId"),
    ("request", {"sessionId": "", "queueId": "a1b2c3d4-e5f6-7890-abcd-ef1234567890"}, "sessionId"),
    ("request", {"sessionId": "s", "queueId": "a1b2"}, "queueId"),
    ("request", {"sessionId": "s", "type": "cancel", "ttlMs": 0}, "ttlMs"),
    ("retry.headers", {}, "handoff-"),
    ("dead_letter.headers", {"handoff-reason": "no.such"}, "handoff-"),
])
def test_what_is_wrong_is_refused(name, document, word):
    with pytest.raises(AssertionError, match=word):
        schema.check(name, document)
