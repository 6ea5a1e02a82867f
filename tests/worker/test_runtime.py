"""What a child begins with: an engine that is loaded and warm, and announced with all that it offers."""

from pathlib import Path

import pytest

from tests.engines import ObedientEngine
from worker.engine import EngineOptions, EngineUnavailable, load_engine
from worker.runtime import catalogue, gathers
from worker.settings import WorkerSettings

AMQP = WorkerSettings()


def factory(options: EngineOptions) -> ObedientEngine:
    engine = ObedientEngine()
    engine.name = str(options.model_dir)
    return engine


def test_a_factory_gets_the_options() -> None:
    options = EngineOptions(model_dir=Path("/models/one"))

    assert load_engine(f"{__name__}:factory", options).name == "/models/one"


def test_an_unknown_engine_is_named_with_those_there_are() -> None:
    with pytest.raises(EngineUnavailable, match="no engine is called 'flute'; installed are: builtin, emotivoice"):
        load_engine("flute", EngineOptions())


def test_the_catalogue_tells_controls_and_blends() -> None:
    offered = catalogue(ObedientEngine())

    assert (offered.controls, offered.blends) == (("pitch_shift",), True)


def test_jobs_are_spoken_together_only_where_that_pays_and_is_safe() -> None:
    over_redis = AMQP.model_copy(update={"broker_url": type(AMQP.broker_url)("redis://127.0.0.1/0")})
    asked_not_to = AMQP.model_copy(update={"gather_milliseconds": 0})
    likes_batches = ObedientEngine(batch_size=8)

    assert gathers(likes_batches, AMQP)
    assert not gathers(ObedientEngine(), AMQP)
    assert not gathers(likes_batches, over_redis)
    assert not gathers(likes_batches, asked_not_to)
