"""`emotivoice model export` as a user runs it."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli import model_export
from tests.worker.engine.emotivoice.tiny import SIZES, TinyModel
from worker.engine.emotivoice.conversion import convert
from worker.engine.emotivoice.export_formats import FORMATS

app = typer.Typer()
app.command(epilog=model_export.EPILOG)(model_export.export)


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    tiny = TinyModel(tmp_path / "official")
    for weight in (*tiny.generator.values(), *tiny.style.values()):
        weight.mul_(0.3)  # durations as long as a real model's
    convert(tiny.write(), tmp_path / "model", sizes=SIZES)
    return tmp_path / "model"


def test_export_tells_how_near_each_graph_is(converted: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"

    result = CliRunner().invoke(app, [str(converted), str(output), "--format", "torch-export"])

    assert result.exit_code == 0, result.output
    *graphs, wrote, revision = result.stdout.splitlines()
    assert [line.split()[0] for line in graphs] == ["style", "acoustic-predict", "acoustic-frames", "vocoder"]
    assert all("largest difference" in line for line in graphs)
    assert wrote.startswith(f"wrote {output}: 4 graphs, torch-export, ")
    assert len(revision) == len("revision ") + 64


def test_the_command_knows_every_format() -> None:
    assert [each.value for each in model_export.Format] == list(FORMATS)
