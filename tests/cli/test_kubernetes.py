"""config/kubernetes: the manifests fit together and to the worker. (To Kubernetes: test_foreign_schemas.py.)"""
import re
import subprocess

import yaml

from lib import PROJECT, binary

FOLDER = PROJECT / "config" / "kubernetes"
MANIFESTS = [(path.name, document) for path in sorted(FOLDER.glob("*.yaml"))
             for document in yaml.safe_load_all(path.read_text())]


def of_kind(kind):
    return next(document for _, document in MANIFESTS if document["kind"] == kind)


def test_everything_is_in_one_namespace_and_selects_the_workers():
    for name, document in MANIFESTS:
        if document["kind"] != "Namespace":
            assert document["metadata"]["namespace"] == of_kind("Namespace")["metadata"]["name"], name
    labels = {"app.kubernetes.io/name": "handoffd"}
    for kind in ("StatefulSet", "Deployment"):
        spec = of_kind(kind)["spec"]
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"] == labels
    assert of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert of_kind("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    assert of_kind("Service")["spec"]["selector"] == labels


def test_both_ways_run_the_same_pod():
    """But for what makes them different: the instance's name and its membership."""
    stateful, stateless = (of_kind(kind)["spec"]["template"] for kind in ("StatefulSet", "Deployment"))
    environment = stateful["spec"]["containers"][0].pop("env")
    assert {entry["name"] for entry in environment} == {"HANDOFFD_KAFKA_INSTANCE", "HANDOFFD_KAFKA_STATIC_MEMBERSHIP"}
    try:
        assert stateful == stateless
    finally:
        stateful["spec"]["containers"][0]["env"] = environment


def test_the_worker_accepts_its_configuration(folder):
    secret, path = folder / "client-secret", folder / "handoffd.conf"
    secret.write_text("s3cret")
    text = of_kind("ConfigMap")["data"]["handoffd.conf"]
    mounts = {mount["name"]: mount["mountPath"]
              for mount in of_kind("StatefulSet")["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]}
    assert f'{mounts["secret"]}/client-secret' in text and "client-secret" in of_kind("Secret")["stringData"]
    path.write_text(text.replace(mounts["secret"], str(folder)))
    done = subprocess.run([binary("handoffd"), "-c", path, "--check-config"], capture_output=True, text=True, timeout=20,
                          check=False, env={"HANDOFFD_KAFKA_INSTANCE": "handoffd-0",
                                            "HANDOFFD_KAFKA_STATIC_MEMBERSHIP": "true"})
    assert done.returncode == 0, done.stderr


def test_a_stop_has_the_time_it_needs_and_the_probes_the_paths_that_are_there():
    pod = of_kind("StatefulSet")["spec"]["template"]["spec"]
    conf = (PROJECT / "config/handoffd.conf").read_text()
    assert pod["terminationGracePeriodSeconds"] >= 2 * int(re.search(r"drain_ms = (\d+)", conf)[1]) / 1000
    container = pod["containers"][0]
    paths = [container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness")]
    served = (PROJECT / "src/worker/admin.c").read_text()
    assert paths == ["/healthz", "/readyz"] and all(f'"{path}"' in served for path in paths)
    memory = int(re.search(r"memory_mb = (\d+)", conf)[1])
    assert int(container["resources"]["limits"]["memory"].removesuffix("Mi")) >= 1.5 * memory


def test_pods_may_do_nothing_they_need_not():
    pod = of_kind("StatefulSet")["spec"]["template"]["spec"]
    rights = pod["containers"][0]["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["automountServiceAccountToken"] is False
    assert rights == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def test_scaling_follows_a_rule_that_exists():
    spec = of_kind("ScaledObject")["spec"]
    recorded = re.findall(r"record: (\S+)", (PROJECT / "config/prometheus/handoffd.rules.yml").read_text())
    assert re.search(r"\((.*)\)", spec["triggers"][0]["metadata"]["query"])[1] in recorded
    partitions = re.search(r"partitions = (\d+)", (PROJECT / "config/handoffd.conf").read_text())[1]
    assert spec["maxReplicaCount"] <= int(partitions)
    assert spec["scaleTargetRef"]["kind"] == "StatefulSet"
