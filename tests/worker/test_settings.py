"""The worker's settings: names, bounds, and what they say when they are wrong."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from cli.stack.folder import CODE_FOLDER
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
        ("GRACE_SECONDS", "0", "greater than or equal to 1"),
        ("MEMORY_LIMIT_GIB", "-1", "greater than or equal to 0"),
    ],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        settings(monkeypatch, **{name: value})


@pytest.mark.parametrize(
    ("segment", "broker", "right"),
    [("600", "7200", True), ("60", "91", True), ("60", "90", False), ("25", "10", False)],
)
def test_a_segment_must_end_before_the_broker_takes_it_back(
    monkeypatch: pytest.MonkeyPatch, segment: str, broker: str, right: bool
) -> None:
    limits = {"SEGMENT_LIMIT_SECONDS": segment, "CONSUMER_TIMEOUT_SECONDS": broker}

    if right:
        assert settings(monkeypatch, **limits).hard_limit_seconds < float(broker)
    else:
        with pytest.raises(ValidationError, match="the broker takes a message back"):
            settings(monkeypatch, **limits)


def test_the_brokers_that_we_set_up_have_the_timeout_that_a_worker_expects() -> None:
    in_milliseconds = f"consumer_timeout = {WorkerSettings().consumer_timeout_seconds * 1000:.0f}"

    for file in ("docker/rabbitmq.conf", "cli/stack/rabbitmq.py"):
        assert in_milliseconds in (CODE_FOLDER / file).read_text()
