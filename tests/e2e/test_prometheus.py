"""A real Prometheus reads the running product by Compose's configuration, every second instead of every minute."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from cli.stack.probes import LOOPBACK, free_ports, http_ok
from cli.stack.process import Command, Process
from shared.jobs import Lane
from tests.e2e.conftest import Product
from tests.k8s.manifests import ROOT
from tests.monitoring.monitoring import DASHBOARDS, alerts, queries, recorded
from tests.waiting import wait_for

Query = Callable[[str], dict[str, float]]

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not shutil.which("prometheus"), reason="it is in Debian's package prometheus"),
]
NO_EXPORTER = ("rabbitmq_", "kube_", "keda_", "certmanager_", "probe_", "ALERTS", "emotivoice_gpu_")
NOT_HAPPENED = (
    "readiness_lost",
    "stand_in_jobs",
    "sweeper_republished",
    "step_retries",
    "jobs_failed:increase5m",
    "emotivoice_refused",
    "webhook_deliveries",
    'status=~"401',
)
# Alerts that find something missing: wrong about a label, they would never be silent.
MISSING = ("TargetDown", "SweeperIdle", "SweepersSeveral", "RedisAway", "NoWarmWorker")


def _sped_up(text: str) -> str:
    for slow, fast in (("interval: 15s", "interval: 1s"), ("interval: 1m", "interval: 1s"), ("offset 1m", "offset 1s")):
        text = text.replace(slow, fast)
    return text


def _configuration(product: Product, rule_file: Path) -> str:
    """Return docker/prometheus.yml with this fleet in place of Compose's names."""
    fleet = product.fleet
    found: dict[str, list[dict[str, Any]]] = {
        "emotivoice/gateway": [{"targets": [f"{LOOPBACK}:{fleet.port}"]}],
        "emotivoice/sweeper": [{"targets": [f"{LOOPBACK}:{fleet.sweeper_port}"]}],
        "emotivoice/worker": [
            {"targets": [f"{LOOPBACK}:{port}"], "labels": {"__meta_dns_name": f"worker-{lane}"}}
            for lane, port in fleet.health_ports.items()
        ],
    }
    document = yaml.safe_load(_sped_up((ROOT / "docker" / "prometheus.yml").read_text()))
    document["rule_files"] = [str(rule_file)]
    jobs = [job for job in document["scrape_configs"] if job["job_name"] in found]
    for job in jobs:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = found[job["job_name"]]
    assert len(jobs) == len(found)
    return json.dumps(document | {"scrape_configs": jobs})  # which is YAML too


@pytest.fixture(scope="module")
def query(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Query]:
    """Ask a Prometheus that has seen a few jobs: each series that came back, by its labels."""
    folder = tmp_path_factory.mktemp("prometheus")
    rule_file, configuration = folder / "rules.yml", folder / "prometheus.yml"
    rule_file.write_text(_sped_up((ROOT / "docker" / "recording-rules.yml").read_text()))
    configuration.write_text(_configuration(product, rule_file))
    (port,) = free_ports(1)
    arguments = [f"--config.file={configuration}", f"--storage.tsdb.path={folder / 'data'}"]
    command = Command(
        ["prometheus", *arguments, f"--web.listen-address={LOOPBACK}:{port}"], folder / "prometheus.log", folder=folder
    )
    prometheus = Process("prometheus", command, answers=lambda: http_ok(port, "/-/ready"))

    def ask(expression: str) -> dict[str, float]:
        answer = httpx.post(f"http://{LOOPBACK}:{port}/api/v1/query", data={"query": expression}, trust_env=False)
        assert answer.status_code == 200, f"{expression}: {answer.text}"
        return {str(each["metric"]): float(each["value"][1]) for each in answer.json()["data"]["result"]}

    prometheus.start()
    try:
        wait_for(lambda: sum(ask("up").values()) == 2 + len(product.fleet.health_ports))
        _speak(product)
        wait_for(lambda: ask('lane:emotivoice_jobs_finished:increase1m{state="succeeded"} > 0'))
        wait_for(lambda: ask('rate(emotivoice_engine_seconds_count{worker_lane="interactive"}[5m]) > 0'))
        yield ask
    finally:
        prometheus.stop()


def _speak(product: Product) -> None:
    unspeakable = product.api.finished(product.api.submit("日本語です。"))
    assert unspeakable["state"] == "failed", unspeakable
    for number in range(3):
        product.api.spoken(f"Prometheus counts this as number {number}.")
    heard = product.api.http.post("/v1/audio/speech", json={"input": "Somebody listens to this."})
    assert heard.status_code == 200, heard.text
    product.api.spoken("A long text has a plan and a join, and each of its segments is counted. " * 40, lane="bulk")


def _absent(expression: str) -> bool:
    return any(name in expression for name in NO_EXPORTER + NOT_HAPPENED)


def test_every_recorded_series_has_data(query: Query) -> None:
    asked = [name for name in recorded() if not _absent(name)]

    wait_for(lambda: all(query(name) for name in asked))


def test_every_query_of_the_dashboards_has_data(query: Query) -> None:
    asked = [expression for dashboard in DASHBOARDS for expression, _ in queries(dashboard)]

    found = {expression: query(expression) for expression in asked}  # each can be answered

    assert not [expression for expression, series in found.items() if not series and not _absent(expression)]


def test_every_alert_can_be_asked_and_nothing_is_missing(query: Query) -> None:
    found = {name: query(rule["expr"]) for name, rule in alerts().items()}

    assert not {name: series for name in MISSING if (series := found[f"Emotivoice{name}"])}


def test_no_job_is_missed_or_counted_twice(product: Product, query: Query) -> None:
    """The first job of a new worker too, which rate() and increase() would not see."""
    ours = 'sum(sum_over_time(lane:emotivoice_jobs_finished:increase1m{state="succeeded"}[1h]))'

    def total() -> float:
        return sum(query("sum(emotivoice_jobs_finished_total{state='succeeded'})").values())

    wait_for(lambda: sum(query(ours).values()) == total() > 0)


@pytest.mark.parametrize("lane", [Lane.INTERACTIVE, Lane.BULK, Lane.ASSEMBLY])
def test_a_worker_s_series_have_its_lane(query: Query, lane: Lane) -> None:
    assert list(query(f'lane:emotivoice_workers:count{{worker_lane="{lane}"}}').values()) == [1]
