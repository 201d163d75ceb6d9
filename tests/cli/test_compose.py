"""docker-compose.yml and the Dockerfile, as far as they can be judged without a Docker engine."""
import re
import subprocess

import pytest
import yaml

from lib import PROJECT, binary, create_topics, free_port, produce, read_all, wait_until
from lib.process import Process

DOCKERFILE = (PROJECT / "config" / "docker" / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((PROJECT / "docker-compose.yml").read_text())


def test_services_refer_to_what_is_there(compose):
    services = compose["services"]
    assert set(services) == {"kafka", "topics", "simulator", "worker-0", "worker-1", "prometheus", "grafana"}
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert "image" in service
        if "build" in service:
            assert (PROJECT / service["build"]["dockerfile"]).is_file()
        for volume in service.get("volumes", []):
            assert (PROJECT / volume.split(":")[0]).exists(), volume
    workers = [services[f"worker-{n}"] for n in range(2)]
    assert all(w["network_mode"] == "service:simulator" for w in workers)
    instances = {w["environment"]["HANDOFFD_KAFKA_INSTANCE"] for w in workers}
    ports = {w["environment"]["HANDOFFD_ADMIN_LISTEN"].split(":")[1] for w in workers}
    assert len(instances) == 2 and {f"127.0.0.1:{port}:{port}" for port in ports} == set(services["simulator"]["ports"])
    scraped = yaml.safe_load((PROJECT / "config/prometheus/prometheus.yml").read_text())["scrape_configs"][0]
    assert set(scraped["static_configs"][0]["targets"]) == {f"simulator:{port}" for port in ports}


def test_topics_have_one_partition_count(compose):
    command = compose["services"]["topics"]["command"][0]
    assert re.findall(r"--partitions (\d+)", command) == ["12"]
    # What compose would substitute is doubled, and the shell takes what is left.
    done = subprocess.run(["sh", "-n"], input=command.replace("$$", "$"), text=True, capture_output=True, timeout=10,
                          check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_image_copies_what_exists():
    for words in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.M):
        for source in words.split()[:-1]:
            assert (PROJECT / source).exists(), source


def test_image_installs_the_packages_of_the_scripts():
    lib = (PROJECT / "scripts" / "lib.sh").read_text()
    ours = set(re.search(r"PACKAGES_BUILD=\(([^)]*)\)", lib)[1].split()) - {"libcmocka-dev"}
    theirs = set(re.search(r"--no-install-recommends (.*?)&&", DOCKERFILE.replace("\\\n", " "))[1].split())
    assert theirs == ours


def test_kafka_starts_with_that_environment(apache, compose, tmp_path):
    """The image turns KAFKA_A_B into a.b: a broker of ours takes the same settings, on other ports."""
    version = compose["services"]["kafka"]["image"].rsplit(":", 1)[1]
    assert f"<kafka.version>{version}</kafka.version>" in (PROJECT / "config" / "kafka" / "pom.xml").read_text()
    settings = {name[len("KAFKA_"):].lower().replace("_", "."): value
                for name, value in compose["services"]["kafka"]["environment"].items()}
    ports = {"9092": str(free_port()), "9093": str(free_port()), "9094": str(free_port())}
    text = "".join(f"{key}={value}\n" for key, value in settings.items()).replace("kafka:9092", "localhost:9092")
    for old, new in ports.items():
        text = re.sub(rf":{old}\b", f":{new}", text)
    text = text.replace("//:", "//127.0.0.1:") + f"log.dirs={tmp_path}/data\n"
    properties = tmp_path / "broker.properties"
    properties.write_text(text)
    java = start_java(tmp_path, properties, version)
    wait_until(lambda: java.check_alive() or "Kafka Server started" in java.stderr(), 60, "the broker")
    bootstrap = f"127.0.0.1:{ports['9094']}"
    create_topics(bootstrap, {"compose": 1})
    produce(bootstrap, "compose", [{"value": b"hello"}])
    assert [record.value for record in read_all(bootstrap, "compose", 1)] == [b"hello"]


def start_java(folder, properties, version):
    cache = subprocess.run(["bash", "-c", '. "$0" && printf %s "$CACHE"', PROJECT / "scripts" / "lib.sh"],
                           capture_output=True, text=True, timeout=10, check=True).stdout
    words = ["java", "-XX:-UsePerfData", "-Xmx512m", "-cp", f"{cache}/kafka-{version}/libs/*"]
    subprocess.run([*words, "kafka.tools.StorageTool", "format", "-t", "kQ6o5Dd4QzWZmJ0F1m2x3A", "-c", properties],
                   check=True, capture_output=True, timeout=60)
    return Process("java", [*words, "kafka.Kafka", properties], folder)


def test_programs_take_that_environment_and_those_options(compose):
    worker, simulator = compose["services"]["worker-0"], compose["services"]["simulator"]
    done = subprocess.run([binary("handoffd"), "--print-config"], env=worker["environment"], capture_output=True,
                          text=True, timeout=10, check=False)
    assert done.returncode == 0, done.stderr
    assert "kafka:9092" in done.stdout and "sandbox-secret" not in done.stdout
    assert simulator["command"][0] == "handoff-sandbox"
    known = subprocess.run([binary("handoff-sandbox"), "--help"], capture_output=True, text=True, timeout=10,
                           check=True).stdout
    assert all(word in known for word in simulator["command"] if word.startswith("--"))
