"""config/schemas: whether a document, or a record of one of our topics, is as the schemas say."""
import functools
import json

import jsonschema

from lib.process import PROJECT

FOLDER = PROJECT / "config" / "schemas"


@functools.cache
def validator(name):
    """Of NAME.schema.json; references go to the other files of that folder."""
    documents = {path.name: json.loads(path.read_text()) for path in FOLDER.glob("*.schema.json")}
    resolver = jsonschema.RefResolver("", documents[f"{name}.schema.json"], store=documents)
    return jsonschema.Draft202012Validator(documents[f"{name}.schema.json"], resolver=resolver,
                                           format_checker=jsonschema.draft202012_format_checker)


def check(name, document):
    """Fails with the first thing that is wrong, and where."""
    error = jsonschema.exceptions.best_match(validator(name).iter_errors(document))
    assert error is None, f"{name}: {'/'.join(map(str, error.absolute_path))}: {error.message}"


def check_record(record):
    """What only workers write, recognised by its headers, is as its schema says; anything else is somebody else's."""
    headers = {name: value.decode(errors="replace") for name, value in record.headers.items() if value is not None}
    if headers.get("ce_type") == "voice.handoff.outcome.v1":
        check("outcome.headers", headers)
        check("outcome", json.loads(record.value))
    elif "handoff-failed-at" in headers:
        check("dead_letter.headers", headers)
    elif "handoff-progress" in headers:
        check("retry.headers", headers)
