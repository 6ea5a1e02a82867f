"""Dashboards, rules and docs/metrics.md, beside the metrics that are really exported."""

import re
import subprocess
from collections.abc import Set
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY

from tests.k8s.manifests import ROOT
from tests.monitoring.monitoring import (
    DASHBOARDS,
    exported,
    needs_promtool,
    panels,
    queries,
    recorded,
    rules,
)
from tests.monitoring.promql import named

PAGE = (ROOT / "docs" / "metrics.md").read_text()
TARGET = {"job", "instance", "namespace", "pod", "worker_lane"}  # labels that Prometheus adds to what it reads
# What a query adds by itself: an alert's expression makes `deployment` of another label, `name` of an address.
MADE = {"deployment", "name"}


def _rows(columns: int) -> list[list[str]]:
    """Return the rows of the tables that have so many columns and begin with a name."""
    rows = (line.strip("| ").split(" |") for line in PAGE.splitlines() if line.startswith("| "))
    return [[cell.strip() for cell in row] for row in rows if len(row) == columns]


def _names(cell: str) -> Set[str]:
    return set(filter(None, re.split(r",\s*", cell)))


def documented() -> dict[str, tuple[str, Set[str]]]:
    rows = (row for row in _rows(4) if row[0].startswith("`"))
    return {name.strip("`"): (kind, _names(labels)) for name, kind, labels, _ in rows}


def of_others() -> dict[str, Set[str]]:
    section = PAGE.partition("## What others have to export")[2]
    rows = (line.strip("| ").split("|") for line in section.splitlines() if "| `" in line)
    return {row[1].strip(" `"): _names(row[2].strip() if len(row) > 2 else "") for row in rows}


def known() -> dict[str, Set[str]]:
    """Return every series that may be asked for, with its labels."""
    ours = {name: labels for metric in exported().values() for name, labels in metric.series.items()}
    return ours | recorded() | of_others()


def expressions() -> list[tuple[str, str]]:
    """Return every expression of rules and dashboards, and where it is."""
    of_rules = [(rule["expr"], name) for name, rule in rules().items()]
    return of_rules + [(query, file.stem) for file in DASHBOARDS for query, _ in queries(file)]


def test_every_metric_is_documented_as_it_is() -> None:
    assert documented() == {name: (metric.kind, metric.labels) for name, metric in exported().items()}


def test_no_metric_is_overlooked() -> None:
    for process in ("gateway.main", "worker.app", "sweeper.main"):
        import_module(process)  # with all that may have metrics of its own

    registered = {each.name for each in REGISTRY.collect() if each.name.startswith("emotivoice_")}
    assert registered == {name.removesuffix("_total") for name in exported()}


def test_every_recorded_series_is_documented_as_it_is() -> None:
    rows = {row[0].strip("`"): _names(row[1]) for row in _rows(3) if re.match(r"`\w+:", row[0])}

    assert rows == recorded()


@pytest.mark.parametrize(("expression", "place"), expressions())
def test_an_expression_asks_for_what_there_is(expression: str, place: str) -> None:
    found, there_are = named(expression), known()

    assert found.series.keys() <= there_are.keys(), place
    for name, labels in found.series.items():
        assert labels <= there_are[name] | TARGET, f"{place}: {name}"
    all_labels = TARGET | MADE | {label for name in found.series for label in there_are[name]}
    assert found.grouping <= all_labels, place


def test_what_others_export_is_listed_only_if_it_is_used() -> None:
    assert of_others().keys() <= {name for expression, _ in expressions() for name in named(expression).series}


def test_a_wrong_name_or_label_would_be_found() -> None:
    found = named('sum by (tennant) (rate(emotivoice_jobs{lain="bulk"}[5m])) / on () up offset 1m')

    assert found.series == {"emotivoice_jobs": {"lain"}, "up": set()}
    assert found.grouping == {"tennant"}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda file: file.stem)
def test_the_lines_of_a_panel_are_named_by_labels_that_they_have(dashboard: Path) -> None:
    for query, legend in queries(dashboard):
        grouped = re.search(r"\bby \(([^)]*)\)", query)
        (first, *_) = named(query).series
        has = _names(grouped[1]) if grouped else known()[first] | TARGET
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= has, query


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda file: file.stem)
def test_panels_have_places_of_their_own(dashboard: Path) -> None:
    places = [
        (place["x"] + x, place["y"] + y)
        for place in (panel["gridPos"] for panel in panels(dashboard))
        for x in range(place["w"])
        for y in range(place["h"])
    ]
    numbers = [panel["id"] for panel in panels(dashboard)]

    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) < 24  # what Grafana's grid has
    assert len(set(numbers)) == len(numbers)


@needs_promtool
def test_every_query_of_a_dashboard_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "queries.yaml"
    rows = [{"record": "query", "expr": query} for each in DASHBOARDS for query, _ in queries(each)]
    groups = [{"name": str(number), "rules": [row]} for number, row in enumerate(rows)]
    file.write_text(yaml.safe_dump({"groups": groups}))

    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
