"""The alerts and the dashboard that come with splitd, with Prometheus itself."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

from tests.clients.clusters import new_cluster
from tests.clients.programs import find, succeed
from tests.live.clients import ask
from tests.live.local_cluster import LocalCluster
from tests.live.processes import wait_until
from tests.ports import free_ports

MONITORING = Path(__file__).parents[2] / "config" / "monitoring"
METRIC = re.compile(r"\b(?:splitd|storaged)_[a-z0-9_]+")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    made = new_cluster(tmp_path_factory.mktemp("prometheus") / "cluster")
    try:
        made.start()
        ask(f"{made.url}/a", "PUT", b"x")
        ask(f"{made.url}/a", "GET")
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def metrics(cluster: LocalCluster) -> str:
    return ask(f"{cluster.admin}/metrics", "GET").body.decode()


def names(metrics: str) -> set[str]:
    return {line.partition("{")[0].partition(" ")[0] for line in metrics.splitlines() if not line.startswith("#")}


def families(metrics: str) -> set[str]:
    """Return the names of all metrics, and those of histograms without their endings."""
    return names(metrics) | {line.split()[2] for line in metrics.splitlines() if line.startswith("# TYPE")}


def test_the_names_of_metrics_follow_the_conventions(metrics: str, tmp_path: Path) -> None:
    assert succeed("promtool", "check", "metrics", folder=tmp_path, stdin=metrics) == ""


def test_the_rules_are_valid_and_fire_when_they_should(tmp_path: Path) -> None:
    assert "SUCCESS" in succeed("promtool", "check", "rules", MONITORING / "alerts.yml", folder=tmp_path)
    assert "SUCCESS" in succeed("promtool", "check", "config", MONITORING / "prometheus.yml", folder=tmp_path)
    assert "SUCCESS" in succeed("promtool", "test", "rules", MONITORING / "alerts-test.yml", folder=tmp_path)


def test_alerts_and_panels_ask_for_metrics_that_there_are(metrics: str) -> None:
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    wanted = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
    wanted += [rule["expr"] for rule in rules]
    asked = {name for expression in wanted for name in METRIC.findall(expression)}
    assert asked <= families(metrics) | {"splitd_log_dropped_lines_total"}  # a log that is not kept drops nothing
    assert len(asked) > 30


def test_each_alert_is_explained(metrics: str) -> None:
    explained = (MONITORING.parents[1] / "docs" / "monitoring.md").read_text()
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
    assert [rule["alert"] for rule in rules if f"`{rule['alert']}`" not in explained] == []
    described = set(METRIC.findall(explained))
    assert described <= families(metrics) | {"splitd_log_dropped_lines_total"}


def test_prometheus_reads_a_front_and_has_no_alarm(cluster: LocalCluster, tmp_path: Path) -> None:
    port = free_ports()
    configuration = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    configuration["global"]["scrape_interval"] = "1s"
    configuration["rule_files"] = [str(MONITORING / "alerts.yml")]
    configuration["scrape_configs"][0]["static_configs"][0]["targets"] = [cluster.admin.removeprefix("http://")]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                find("prometheus"), f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=output, stderr=output,
        )  # fmt: skip
    try:

        def value(query: str) -> str:
            answer = ask(f"http://127.0.0.1:{port}/api/v1/query?query={quote(query)}", "GET")
            found = json.loads(answer.body)["data"]["result"] if answer.status == 200 else []
            return found[0]["value"][1] if found else ""

        def reads() -> bool:
            return value('up{job="splitd"}') == "1" and value("splitd_files") == "1"

        wait_until(reads, "Prometheus reads the front", log.read_text)
        assert value("splitd_ready") == "1"
        assert value('ALERTS{alertname=~"Splitd.*",alertstate="firing"}') == ""
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
