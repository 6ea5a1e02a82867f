"""The recording and alert rules of k8s/monitoring, tried by promtool on series that are made up."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from planner import manifest
from planner.scaled_object import Age
from tests.k8s.manifests import K8S, ROOT
from tests.monitoring.monitoring import MONITORING, alerts, groups, needs_promtool, rules

CASES: dict[str, list[dict[str, Any]]] = yaml.safe_load(Path(__file__).with_name("cases.yaml").read_text())
RUNBOOKS = ROOT / "docs" / "runbooks.md"


@pytest.fixture
def rule_file(tmp_path: Path) -> Path:
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": groups()}))
    return file


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)


def _as_promtool_has_it(name: str, case: dict[str, Any]) -> dict[str, Any]:
    if "firing" in case:
        # A label that the sentences use has to be there, or the reader sees a hole.
        used = set(re.findall(r"\$labels\.(\w+)", str(rules()[name]["annotations"])))
        matchers = "".join(f', {label}!=""' for label in sorted(used))
        expression = f'count(ALERTS{{alertname="{name}", alertstate="firing"{matchers}}}) or vector(0)'
        samples = [{"labels": "{}", "value": case["firing"]}]
    else:
        expression = case.get("expr", name)
        of = "" if "expr" in case else name
        samples = [{"labels": of + labels, "value": value} for labels, value in case["gives"].items()]
    return {
        "name": f"{name} at {case['at']}",
        "interval": "15s",
        "input_series": [{"series": series, "values": values} for series, values in case["series"].items()],
        "promql_expr_test": [{"expr": expression, "eval_time": case["at"], "exp_samples": samples}],
    }


@needs_promtool
def test_every_rule_does_what_its_cases_say(rule_file: Path) -> None:
    tests = [_as_promtool_has_it(name, case) for name, cases in CASES.items() for case in cases]
    file = rule_file.with_name("tests.yaml")
    file.write_text(yaml.safe_dump({"rule_files": [str(rule_file)], "tests": tests}))

    done = promtool("test", "rules", file)

    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_a_case_that_is_wrong_is_found(rule_file: Path) -> None:
    case = CASES["EmotivoiceDeadLetters"][0] | {"firing": 0}
    file = rule_file.with_name("tests.yaml")
    tests = [_as_promtool_has_it("EmotivoiceDeadLetters", case)]
    file.write_text(yaml.safe_dump({"rule_files": [str(rule_file)], "tests": tests}))

    assert promtool("test", "rules", file).returncode != 0


def test_every_rule_has_a_case_and_every_alert_one_that_is_silent() -> None:
    assert CASES.keys() == rules().keys()
    for name in alerts():
        firing = [case["firing"] for case in CASES[name]]
        assert 0 in firing, f"{name}: no case in which it is silent"
        assert any(firing), f"{name}: no case in which it fires"


@needs_promtool
def test_without_any_series_nothing_fires(rule_file: Path) -> None:
    """An exporter that is not there makes no noise."""
    never = {"expr": "ALERTS", "eval_time": "2h"}
    file = rule_file.with_name("tests.yaml")
    tests = [{"interval": "1m", "promql_expr_test": [never]}]
    file.write_text(yaml.safe_dump({"rule_files": [str(rule_file)], "tests": tests}))

    done = promtool("test", "rules", file)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_how_grave_it_is_and_what_to_do(name: str) -> None:
    rule = alerts()[name]

    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert re.search(r"\b[Ff]irst\b", rule["annotations"]["description"])


def test_the_runbooks_have_a_heading_for_each_alert_and_no_other() -> None:
    headings = re.findall(r"^### (.+)$", RUNBOOKS.read_text(), re.MULTILINE)

    assert sorted(headings) == sorted(alerts())
    for name, rule in alerts().items():
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks.md#{name.lower()}"


@pytest.mark.parametrize("lane", ["interactive", "bulk", "assembly"])
def test_a_lane_is_late_where_its_scaler_thinks_so(lane: str) -> None:
    document = yaml.safe_load((K8S / "keda" / f"scaledobject-worker-{lane}.yaml").read_text())
    (age,) = (each for each in manifest.read(document).triggers if isinstance(each, Age))

    terms = re.findall(r'\{lane=~?"([^"]+)"\}\) > (\d+)', alerts()["EmotivoiceQueueAge"]["expr"])
    assert [float(limit) for lanes, limit in terms if lane in lanes.split("|")] == [age.value]


def test_compose_has_the_same_recording_rules() -> None:
    copy = yaml.safe_load((ROOT / "docker" / "recording-rules.yml").read_text())
    ours = yaml.safe_load((MONITORING / "prometheusrule-recording.yaml").read_text())

    assert copy == ours["spec"]
