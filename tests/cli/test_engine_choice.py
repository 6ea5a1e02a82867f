"""Which engine `up` and `demo` speak with: told to the workers, and refused in one sentence before anything starts."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli.stack import engine
from cli.stack.engine import EngineChoice
from cli.stack.errors import StackError
from tests.worker.engine.emotivoice.tiny import GENERATOR, SIZES, STYLE, TinyModel
from worker.engine.emotivoice.conversion import convert

IMPORTS = """
import sys
from cli.main import app
from cli.stack.engine import EngineChoice
EngineChoice().check()
EngineChoice("builtin").check()
print([name for name in ("torch", "numpy", "worker.engine") if name in sys.modules])
"""


@pytest.fixture
def official(tmp_path: Path) -> Path:
    return TinyModel(tmp_path / "official").write()


def refusal(*choice: object) -> str:
    with pytest.raises(StackError) as caught:
        EngineChoice(*choice).check()  # pyright: ignore[reportArgumentType]
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_the_workers_are_told_what_was_chosen_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the workers run elsewhere

    assert EngineChoice().settings() == {}
    assert EngineChoice("emotivoice", Path("models/one"), "cuda:1").settings() == {
        "EMOTIVOICE_ENGINE": "emotivoice",
        "EMOTIVOICE_MODEL_DIR": str(tmp_path / "models/one"),
        "EMOTIVOICE_DEVICE": "cuda:1",
    }


def test_a_model_that_is_there_is_taken(official: Path, tmp_path: Path) -> None:
    convert(official, tmp_path / "converted", sizes=SIZES)

    for folder in (official, tmp_path / "converted"):
        EngineChoice("emotivoice", folder, "cpu").check()


def test_an_engine_of_somebody_else_is_left_to_the_worker() -> None:
    EngineChoice("bench.engines:humming", Path("anything"), "tpu").check()


def test_without_a_folder_it_says_how_to_name_one() -> None:
    assert "--model-dir" in refusal("emotivoice")


def test_a_folder_without_the_engine_is_no_accident_to_pass_over(official: Path) -> None:
    assert "add --engine emotivoice" in refusal(None, official)


def test_a_wrong_folder_is_named(tmp_path: Path) -> None:
    assert refusal("emotivoice", tmp_path / "nowhere") == f"there is no folder {tmp_path / 'nowhere'}"
    assert f"no model is in {tmp_path}" in refusal("emotivoice", tmp_path)


def test_a_converted_model_that_was_cut_is_named(official: Path, tmp_path: Path) -> None:
    convert(official, tmp_path / "converted", sizes=SIZES)
    (tmp_path / "converted/model.safetensors").write_bytes(b"cut")

    assert "model.safetensors has 3 bytes instead of" in refusal("emotivoice", tmp_path / "converted")


@pytest.mark.parametrize("name", [GENERATOR, STYLE])
def test_weights_that_git_lfs_has_not_fetched_are_named(official: Path, name: str) -> None:
    (official / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")

    assert f"{official / name} is not the weights yet: run `git lfs pull`" in refusal("emotivoice", official)


def test_what_is_not_installed_is_named(official: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "NEEDED", ("pathlib", "no_such_torch"))

    assert refusal("emotivoice", official).startswith("the emotivoice engine needs no_such_torch, which")


@pytest.mark.parametrize("device", ["tpu", "cuda:99"])
def test_a_device_that_is_not_there_is_named(official: Path, device: str) -> None:
    assert repr(device) in refusal("emotivoice", official, device)


def test_the_builtin_engine_costs_no_import() -> None:
    shown = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)

    assert shown.stdout == "[]\n"
