"""`emotivoice voices fit-adapter` as a user runs it, on a small model with random weights."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli import main
from tests.worker.engine.emotivoice.many import write_many_voices
from worker.engine.emotivoice import adapter_methods
from worker.engine.emotivoice.folder import ADAPTER


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main.app, ["voices", "fit-adapter", *map(str, arguments)])


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(adapter_methods, "STEPS", 10)
    return write_many_voices(tmp_path / "model")


def test_it_says_what_it_wrote_what_was_measured_and_that_random_weights_mean_nothing(model: Path) -> None:
    result = run(model, "--voices", "10", "--held-out", "2", "--device", "cpu")

    assert result.exit_code == 0, result.output
    first, _, title, *lines = result.stdout.splitlines()
    assert first.startswith(f"wrote {model / ADAPTER}: ")
    assert title == "Similarity to 2 voices that were held out, of 10 (mean cosine):"
    figures = [line.split("  ")[1].strip() for line in lines[:6]]
    assert figures == [
        "two different voices",
        "the nearest other voice of the table",
        "blend",
        "ridge",
        "mlp",
        "the voice itself",
    ]
    assert sum("<- kept" in line for line in lines) == 1
    assert "these figures mean nothing: are its weights random?" in result.stderr
    assert "voices of the table: 8 of 10" in result.stderr
    assert "voices of the table: 10 of 10" in result.stderr


def test_an_adapter_that_is_there_is_kept(model: Path) -> None:
    (model / ADAPTER).write_bytes(b"")

    result = run(model)

    assert result.exit_code == 1
    assert result.stderr == f"error: {model / ADAPTER} is there already; --force replaces it\n"
    assert (model / ADAPTER).read_bytes() == b""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "there is no folder"),
        (("--device", "tpu"), "there is no device 'tpu'"),
    ],
)
def test_what_keeps_it_from_fitting_is_one_line(tmp_path: Path, arguments: tuple[str, ...], reason: str) -> None:
    result = run(tmp_path / "nothing", *arguments)

    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {reason}")


def test_help_shows_a_try() -> None:
    result = run("--help")

    assert result.exit_code == 0
    assert "emotivoice voices fit-adapter models/emotivoice --voices 100" in result.stdout
