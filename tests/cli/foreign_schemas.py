"""Holds config/ against what others say it has to be, and prints a line for whatever does not fit.

Run by test_foreign_schemas.py in an environment that has these packages; each artefact once as it is, and once broken,
which must be noticed.
"""
import copy
import json
import pathlib

import compose_spec
import kubernetes_validate
import yaml
from cloudcoil.models.keda import v1alpha1 as keda
from grafana_foundation_sdk.cog import encoder, plugins
from grafana_foundation_sdk.models import dashboard

PROJECT = pathlib.Path(__file__).resolve().parents[2]
KUBERNETES = kubernetes_validate.latest_version()
# The type of a variable that asks has no such member, but Grafana shows it, and writes it when it saves.
SHOWN_ONLY = "definition"


def lost(given, kept, place=""):
    """What of `given` is not in `kept`: what the types that it went through do not know."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for name, value in given.items():
            if name != SHOWN_ONLY:
                yield from lost(value, kept.get(name), f"{place}/{name}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for number, pair in enumerate(zip(given, kept)):
            yield from lost(*pair, f"{place}/{number}")
    elif given != kept:
        yield f"{place} is not known, or not of that type"


def check_kubernetes(document):
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


def check_keda(document):
    kept = keda.ScaledObject.model_validate(document).model_dump(by_alias=True, exclude_unset=True, mode="json")
    assert not (problems := list(lost(document, kept))), problems


def check_grafana(document):
    kept = json.loads(encoder.JSONEncoder().encode(dashboard.Dashboard.from_json(document)))
    assert not (problems := list(lost(document, kept))), problems


def check_compose(document):
    compose_spec.PyCompose.from_yaml(yaml.safe_dump(document)).validate()


def refusal(check, document):
    try:
        check(copy.deepcopy(document))
    except Exception as error:  # pylint: disable=broad-exception-caught; each library has its own
        return " ".join(str(error).split())[:300] or repr(error)
    return None


def hold(name, check, document, spoil):
    """`spoil` breaks a copy of it in one place."""
    if why := refusal(check, document):
        print(f"{name}: {why}")
    broken = copy.deepcopy(document)
    spoil(broken)
    if not refusal(check, broken):
        print(f"{name}: a copy that is broken was not noticed")


def main():
    for path in sorted((PROJECT / "config/kubernetes").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            name = f"{path.name}, {document['kind']}"
            if document["kind"] == "ScaledObject":
                hold(name, check_keda, document, lambda d: d["spec"].update(maxReplicas=3))
                hold(name, check_keda, document, lambda d: d["spec"].update(pollingInterval="often"))
            else:
                hold(name, check_kubernetes, document, lambda d: d.update(spce={}))
    plugins.register_default_plugins()
    hold("the dashboard", check_grafana, json.loads((PROJECT / "config/grafana/dashboards/handoffd.json").read_text()),
         lambda d: d["panels"][-1].update(fieldConfiguration={}))
    hold("docker-compose.yml", check_compose, yaml.safe_load((PROJECT / "docker-compose.yml").read_text()),
         lambda d: d["services"]["kafka"].update(enviroment={}))
    print("done")


if __name__ == "__main__":
    main()
