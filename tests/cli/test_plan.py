"""`emotivoice plan` as a user runs it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli import main, plan

BURST = ("--pattern", "2->35 rps at 60 s", "--begins", "10:00", "--duration", "200")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main.app, ["plan", *map(str, arguments)])


def told(*arguments: str | Path) -> dict[str, object]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_it_tells_what_the_shipped_lane_does_with_a_burst() -> None:
    result = run(*BURST)

    assert result.exit_code == 0, result.output
    assert "lane       worker-interactive, 1 to 20 workers, 5 messages for each" in result.stdout
    assert re.search(r"^jobs +[\d,]+ spoken, 0 failed", result.stdout, re.MULTILINE)
    assert "workers    2 at 0 s, 20 at " in result.stdout


def test_the_same_seed_gives_the_same_figures_and_another_others() -> None:
    one, same, other = run(*BURST), run(*BURST), run(*BURST, "--seed", "2")

    assert one.stdout == same.stdout != other.stdout


def test_json_has_the_figures_and_the_lane_over_time() -> None:
    report = told(*BURST, "--after", "150")

    assert {"waits", "waits_after", "changes", "samples", "windows", "fixed", "saved", "gpu_hours"} <= set(report)
    assert report["failed"] == 0
    assert report["after"] == 150


@pytest.mark.parametrize("lane", ["bulk", "assembly"])
def test_each_lane_has_its_shipped_scaler(lane: str) -> None:
    report = told("--lane", lane, "--pattern", "60 jobs at 10 s", "--duration", "1200")

    assert report["scaled_object"] == f"worker-{lane}"
    changes = report["changes"]
    assert isinstance(changes, list)
    assert (changes[0][1], changes[-1][1]) == (0, 0)


def test_a_manifest_and_a_trace_of_one_s_own(tmp_path: Path) -> None:
    manifest, trace = tmp_path / "mine.yaml", tmp_path / "jobs.csv"
    text = (plan.MANIFESTS / "scaledobject-worker-bulk.yaml").read_text()
    manifest.write_text(text.replace("minReplicaCount: 0", "minReplicaCount: 3"))
    trace.write_text("seconds,engine_seconds\n" + "".join(f"{second},2\n" for second in range(60)))

    report = told("--lane", "bulk", "--manifest", manifest, "--trace", trace)

    assert report["finished"] == 60
    assert report["changes"] == [[0.0, 3]]


def test_one_file_may_have_all_lanes(tmp_path: Path) -> None:
    every = tmp_path / "all.yaml"
    every.write_text("---\n".join(file.read_text() for file in sorted(plan.MANIFESTS.glob("scaledobject-*.yaml"))))

    report = told("--manifest", every, "--lane", "assembly", "--pattern", "5 jobs at 1 s")

    assert report["scaled_object"] == "worker-assembly"


def test_values_are_suggested_for_a_target() -> None:
    result = run("--pattern", "10 rps for 5 min", "--replicas", "3", "--target-p99", "0.3", "--after", "60")

    assert result.exit_code == 0, result.output
    found = re.search(
        r"for a p99 of 0\.3 s, after (\d+) simulations: .*\n  formula: max\(total / ([\d.]+),", result.stdout
    )
    assert found
    assert int(found[1]) > 1
    assert re.search(r"p99 0\.[0-2]\d\d s, [\d.]+ GPU hours", result.stdout)


def test_a_target_that_nothing_meets_ends_with_1() -> None:
    result = run("--pattern", "50 jobs at 0 s", "--engine-seconds", "10", "--target-p99", "0.001")

    assert result.exit_code == 1
    assert "nothing found for a p99 of 0.001 s" in result.stdout


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    result = run(*BURST, "--png", tmp_path / "burst.png")

    assert result.exit_code == 0, result.output
    assert (tmp_path / "burst.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say what the load is: one of --pattern and --trace"),
        (("--pattern", "lots"), "the pattern has 'lots'; it takes 2->35 rps at 60 s"),
        (("--trace", "none.csv"), "none.csv can't be read as CSV"),
        ((*BURST, "--engine-seconds", "soon"), "the engine's seconds are 'soon'; they may be 0.2"),
        ((*BURST, "--manifest", "none.yaml"), "none.yaml can't be read"),
        ((*BURST, "--begins", "noon"), "'noon' is no time; it takes 10:00"),
        ((*BURST, "--standby-hours", "18:00..7:45"), "'18:00..7:45' are no hours; it takes 7:45..18:00"),
        ((*BURST, "--standby-hours", "8..18"), "'8..18' are no hours"),
        ((*BURST, "--broker-away", "9"), "'9' is no span; it takes seconds such as 120..300"),
        ((*BURST, "--prometheus-away", "9..3"), "'9..3' is no span"),
        (
            (*BURST, "--manifest", plan.MANIFESTS / "scaledobject-worker-bulk.yaml"),
            "has 0 ScaledObjects for tts.interactive; its queues are tts.bulk",
        ),
    ],
)
def test_what_is_wrong_is_named(arguments: tuple[str | Path, ...], said: str) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", "").split())


def test_the_examples_of_the_help_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is run as it stands, but for the day, which takes long, and for the search."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "arrivals.csv").write_text("seconds\n1\n2\n")
    examples = re.findall(r"^  emotivoice plan (.+)$", plan.EPILOG, re.MULTILINE)
    assert len(examples) >= 5
    for example in examples:
        quick = example.replace("day 35 rps", "day 0.1 rps").replace("20 rps for 30 min", "2 rps for 1 min")
        command = f"{sys.executable} -m cli plan {quick}"
        done = subprocess.run(
            command, shell=True, capture_output=True, text=True, check=False, env={"PYTHONPATH": _root()}
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_help_comes_without_the_planner() -> None:
    """numpy and YAML take half a second to import."""
    code = "import sys, cli.main; print({'numpy', 'yaml', 'planner'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


def _root() -> str:
    return str(Path(main.__file__).resolve().parent.parent)
