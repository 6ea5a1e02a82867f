"""The worker's settings: names, bounds, and what they say when they are wrong."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from worker.engine import EngineOptions
from worker.settings import WorkerSettings


def settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> WorkerSettings:
    for name, value in variables.items():
        monkeypatch.setenv(f"EMOTIVOICE_{name}", value)
    return WorkerSettings()


def test_an_engine_gets_its_options_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(
        monkeypatch, ENGINE="emotivoice", MODEL_DIR="/models/one", DEVICE="cuda:1", PRECISION="bf16", TONE_SANDHI="true"
    )

    assert found.engine_options == EngineOptions(Path("/models/one"), "cuda:1", "bf16", True)


def test_what_is_empty_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(monkeypatch, MODEL_DIR="").engine_options == EngineOptions()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DEVICE", "gpu", "a device is auto, cpu, cuda, or one GPU of several, such as cuda:1"),
        ("DEVICE", "cuda:one", "a device is"),
        ("PRECISION", "half", "'auto', 'fp32', 'fp16' or 'bf16'"),
        ("GATHER_MILLISECONDS", "-1", "greater than or equal to 0"),
        ("GATHER_MILLISECONDS", "5000", "less than or equal to 1000"),
        ("MEMORY_LIMIT_GIB", "-1", "greater than or equal to 0"),
    ],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        settings(monkeypatch, **{name: value})
