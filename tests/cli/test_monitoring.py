"""config/prometheus and config/grafana: they speak of metrics that exist, the alerts fire when they should and only then,
and a real Prometheus takes rules and panels and finds figures for them. (Grafana itself is in no Debian package.)"""
import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request

import pytest
import yaml

from lib import PROJECT, Kafka, Topics, Worker, free_port, keyed, produce, wait_until
from lib.process import Process

PROMETHEUS = PROJECT / "config" / "prometheus"
RULES = yaml.safe_load((PROMETHEUS / "handoffd.rules.yml").read_text())
DASHBOARD = json.loads((PROJECT / "config/grafana/dashboards/handoffd.json").read_text())
TABLE = (PROJECT / "src/rules/metrics_table.c").read_text()
METRICS = set(re.findall(r'"(handoffd_\w+)"', TABLE))
HISTOGRAMS = set(re.findall(r'HISTOGRAM\("(handoffd_\w+)"', TABLE))
VARIABLES = {"$job": "handoffd", "$instance": ".*", "$tenant": ".*", "$__rate_interval": "1m"}
with_prometheus = [pytest.mark.long,
                   pytest.mark.skipif(not shutil.which("promtool"), reason="the package prometheus is not installed")]


def rules():
    return [rule for group in RULES["groups"] for rule in group["rules"]]


def panels():
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def panel_queries():
    """What Grafana would ask, its variables filled in."""
    for panel in panels():
        for target in panel["targets"]:
            query = target["expr"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            yield panel["title"], query


def promtool(*arguments):
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


def test_rules_and_panels_speak_of_metrics_that_exist():
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    known = METRICS | recorded | {f"{name}{end}" for name in HISTOGRAMS for end in ("_bucket", "_sum", "_count")}
    queries = [rule["expr"] for rule in rules()] + [query for _, query in panel_queries()]
    used = {name for query in queries for name in re.findall(r"handoffd[_:][\w:]+", query)}
    assert used <= known, used - known
    bare = {re.sub("_(bucket|sum|count)$", "", name) if name not in METRICS else name for name in used}
    assert METRICS <= bare, f"nobody looks at {METRICS - bare}"


def test_each_alert_says_how_urgent_it_is_and_what_it_means():
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in ("page", "ticket")
            assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]


def test_each_rule_has_its_unit_test():
    """Each alert one in which it fires and one in which it does not; each recording rule one."""
    cases = yaml.safe_load((PROMETHEUS / "handoffd.rules.test.yml").read_text())["tests"]
    fires, quiet, recorded = set(), set(), set()
    for case in cases:
        for alert in case.get("alert_rule_test", []):
            (fires if alert["exp_alerts"] else quiet).add(alert["alertname"])
        recorded |= {test["expr"] for test in case.get("promql_expr_test", [])}
    assert fires == quiet == {rule["alert"] for rule in rules() if "alert" in rule}
    assert recorded == {rule["record"] for rule in rules() if "record" in rule}


def test_dashboard_has_what_grafana_needs():
    assert DASHBOARD["uid"] == "handoffd" and DASHBOARD["schemaVersion"] >= 36
    names = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert names == {"datasource", "job", "instance", "tenant"}
    assert {name for query in [json.dumps(DASHBOARD)] for name in re.findall(r"\$\{?([a-z]\w*)", query)} <= names
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & taken, f"{panel['title']} lies over another"
        taken |= cells
    for panel in panels():
        assert panel["title"] and panel["description"] and panel["datasource"]["uid"] == "${datasource}"
        references = [target["refId"] for target in panel["targets"]]
        assert references and len(references) == len(set(references))


def test_grafana_is_given_both():
    provisioning = PROJECT / "config" / "grafana" / "provisioning"
    source = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())["datasources"][0]
    provider = yaml.safe_load((provisioning / "dashboards/handoffd.yml").read_text())["providers"][0]
    compose = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
    assert source["type"] == "prometheus" and source["url"] == "http://prometheus:9090" and "prometheus" in compose
    mounts = dict(reversed(volume.rsplit(":ro", 1)[0].split(":")) for volume in compose["grafana"]["volumes"])
    assert mounts[provider["options"]["path"]] == "./config/grafana/dashboards"
    assert mounts["/etc/grafana/provisioning"] == "./config/grafana/provisioning"


class TestPrometheus:
    pytestmark = with_prometheus

    def test_rules(self):
        done = promtool("check", "rules", "--lint=all", "--lint-fatal", PROMETHEUS / "handoffd.rules.yml")
        assert done.returncode == 0, done.stderr
        done = promtool("test", "rules", PROMETHEUS / "handoffd.rules.test.yml")
        assert done.returncode == 0, done.stdout + done.stderr
        done = promtool("check", "config", PROMETHEUS / "prometheus.yml")
        assert done.returncode == 0, done.stdout + done.stderr

    def test_metrics_are_clean(self, folder, sandbox):
        w = Worker(folder, Kafka(sandbox.bootstrap, "sandbox"), Topics(), sandbox).wait_ready()
        produce(sandbox.bootstrap, "handoff.requests", [keyed(n) for n in range(20)])
        wait_until(lambda: w.metric("handoffd_outcomes_total") == 20, 30, "outcomes")
        done = subprocess.run(["promtool", "check", "metrics"], input=w.metrics_text(), capture_output=True, text=True,
                              timeout=20, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    @pytest.mark.limit(180)
    def test_a_real_one_finds_figures(self, folder, sandbox):
        """Scrapes a worker at work: every rule is evaluated without an error, every panel's query gives something."""
        sandbox.script("lock every=5 for=2s", "limit calls=40 per=1s", "on fetch reply 500 every=9")
        w = Worker(folder, Kafka(sandbox.bootstrap, "sandbox"), Topics(), sandbox).wait_ready()
        server = start_prometheus(folder, w.admin_port)
        wait_until(lambda: query(server, 'up{job="handoffd"} == 1'), 30, "a scrape")
        for n in range(6):
            produce(sandbox.bootstrap, "handoff.requests", [keyed(i) for i in range(20 * n, 20 * n + 20)])
            wait_until(lambda n=n: w.metric("handoffd_outcomes_total") >= 20 * n, 60, "outcomes")
        wait_until(lambda: query(server, "sum(rate(handoffd_retry_lateness_seconds_count[1m])) > 0") and
                   query(server, "sum(rate(handoffd_retry_after_seconds_count[1m])) > 0") and
                   query(server, "handoffd:backlog"), 60, "figures of retries")
        empty = {title for title, text in panel_queries() if not query(server, text)}
        assert empty == set(), "no figures for these panels"
        groups = ask(server, "rules")["groups"]
        assert len([rule for group in groups for rule in group["rules"]]) == len(rules())
        assert all(rule["health"] == "ok" for group in groups for rule in group["rules"])


def start_prometheus(folder, port):
    """The configuration as it is, but for the address of the worker."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(PROMETHEUS / "handoffd.rules.yml")]
    path, listen = folder / "prometheus.yml", free_port()
    path.write_text(yaml.safe_dump(config))
    process = Process("prometheus", ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder}/tsdb",
                                     f"--web.listen-address=127.0.0.1:{listen}", "--log.level=warn"], folder)
    url = f"http://127.0.0.1:{listen}/api/v1/"
    wait_until(lambda: process.check_alive() or answers(url), 30, "prometheus to answer")
    return url


def answers(url):
    try:
        return ask(url, "status/runtimeinfo")
    except OSError:
        return None


def ask(url, path, **parameters):
    with urllib.request.urlopen(f"{url}{path}?{urllib.parse.urlencode(parameters)}", timeout=10) as reply:
        answer = json.load(reply)
    assert answer["status"] == "success", answer
    return answer["data"]


def query(url, text):
    return ask(url, "query", query=text, time=time.time())["result"]
