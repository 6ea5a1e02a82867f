"""What the tests of k8s/monitoring share: its rules, its dashboards, and the metrics that are really exported."""

import json
import re
import shutil
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

import gateway.metrics
import shared.accepted
import shared.ended
import sweeper.metrics
import worker.metrics
from tests.k8s.manifests import K8S

MONITORING = K8S / "monitoring"
DASHBOARDS = sorted((MONITORING / "dashboards").glob("*.json"))
RULE_FILES = sorted(MONITORING.glob("prometheusrule-*.yaml"))
MODULES = (gateway.metrics, worker.metrics, sweeper.metrics, shared.accepted, shared.ended)
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool judges the rules; it is in Debian's package prometheus"
)


@dataclass(frozen=True)
class Metric:
    """A metric of ours."""

    name: str  # as it is documented: a counter with its _total
    kind: str
    labels: Set[str]

    @property
    def series(self) -> dict[str, Set[str]]:
        """The names that Prometheus knows it by, each with its labels."""
        stem = self.name.removesuffix("_total")
        names = (stem + suffix for suffix in SUFFIXES[self.kind])
        return {name: self.labels | ({"le"} if name.endswith("_bucket") else set()) for name in names}


def exported() -> dict[str, Metric]:
    """Return the metrics that our processes have, by name."""
    found = (each for module in MODULES for each in vars(module).values() if isinstance(each, MetricWrapperBase))
    return {metric.name: metric for metric in map(_metric, found)}


def _metric(wrapper: MetricWrapperBase) -> Metric:
    (described,) = wrapper.describe()
    name = described.name + ("_total" if described.type == "counter" else "")
    return Metric(name, described.type, frozenset(vars(wrapper)["_labelnames"]))


def groups() -> list[dict[str, Any]]:
    return [group for file in RULE_FILES for group in yaml.safe_load(file.read_text())["spec"]["groups"]]


def rules() -> dict[str, dict[str, Any]]:
    """Return every rule by its name: an alert's, or that of the series it records."""
    return {each.get("alert") or each["record"]: each for group in groups() for each in group["rules"]}


def alerts() -> dict[str, dict[str, Any]]:
    return {name: rule for name, rule in rules().items() if "alert" in rule}


def recorded() -> dict[str, Set[str]]:
    """Return the names of recorded series, each with its labels."""
    return {name: _labels_left(rule["expr"]) for name, rule in rules().items() if "record" in rule}


def _labels_left(expression: str) -> Set[str]:
    labels = {label for each in re.findall(r"\bby \(([^)]*)\)", expression) for label in re.split(r",\s*", each)}
    return labels - ({"le"} if "histogram_quantile" in expression else set())


def panels(dashboard: Path) -> Iterator[dict[str, Any]]:
    yield from json.loads(dashboard.read_text())["panels"]


def queries(dashboard: Path) -> Iterator[tuple[str, str]]:
    """Return each query of a dashboard with the names of its lines, as Prometheus would be asked."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            expression = re.sub(r"\$__(range|rate_interval)\b", "1h", target["expr"])
            yield expression.replace("$lane", "interactive"), target["legendFormat"]
