"""The official model's folder, with random weights. Nothing of the reference goes into the project."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REFERENCE = Path(__file__).resolve().parents[4].parent / "shared/reference/emotivoice"


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of what the original computes, and of the program that writes weights in its formats."""
    if not (REFERENCE / "make_checkpoint.py").is_file():
        pytest.skip("there is no ../shared/reference/emotivoice beside this checkout")
    return REFERENCE


@pytest.fixture(scope="session")
def official_model(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder as users download it: 600 MB, the same weights on every machine."""
    folder = tmp_path_factory.mktemp("official")
    subprocess.run([sys.executable, reference / "make_checkpoint.py", folder], check=True)
    shutil.copy(reference / "voices_table.md", folder / "data/youdao/text/README.md")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def converted_model(official_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same model, converted in fp32."""
    from worker.engine.emotivoice.conversion import convert

    folder = tmp_path_factory.mktemp("converted") / "model"
    convert(official_model, folder)
    yield folder
    shutil.rmtree(folder)
