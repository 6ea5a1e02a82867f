"""Emotions of the emotivoice engine: tags and free text to a style, and how strength moves it."""

from collections.abc import Callable
from itertools import combinations, pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.worker.engine.emotivoice.small import small_engine
from worker.engine.builtin.emotions import EMOTIONS
from worker.engine.emotivoice import engine as engine_module
from worker.engine.emotivoice.prompts import PROMPTS, prompt_of
from worker.engine.speech import NEUTRAL, Utterance

FREE_TEXT = "今天天气真好，世界"
StylesOf = Callable[..., list[Tensor]]


class Told(Exception):
    """What the acoustic model was told; what it would say of it is not awaited."""


@pytest.fixture
def styles_of(monkeypatch: pytest.MonkeyPatch) -> StylesOf:
    """What the acoustic model is told of emotions, each with its strength: (D,) each."""

    def listening(_networks: Any, inputs: Any, _limits: Any) -> Any:
        raise Told(*(each.style for each in inputs))

    def styles(*wishes: tuple[str, float]) -> list[Tensor]:
        with pytest.raises(Told) as told:
            small_engine().synthesize([Utterance("好", "8051", emotion, strength) for emotion, strength in wishes])
        return list(told.value.args)

    monkeypatch.setattr(engine_module, "mels", listening)
    return styles


def test_every_emotion_of_the_builtin_engine_has_a_prompt() -> None:
    assert set(EMOTIONS) <= set(PROMPTS)


def test_free_text_is_its_own_prompt() -> None:
    assert [prompt_of(text) for text in (FREE_TEXT, "as if in a hurry", "")] == [FREE_TEXT, "as if in a hurry", ""]


def test_a_tag_is_told_as_its_prompt(styles_of: StylesOf) -> None:
    by_tag, by_prompt = (
        styles_of(*((emotion, 1.0) for emotion in emotions)) for emotions in (PROMPTS, PROMPTS.values())
    )
    torch.testing.assert_close(by_tag, by_prompt)


def test_no_two_tags_are_told_alike(styles_of: StylesOf) -> None:
    styles = styles_of(*((tag, 1.0) for tag in PROMPTS))
    assert all(torch.dist(one, other) > 0.01 for one, other in combinations(styles, 2))


@pytest.mark.parametrize("emotion", [*(tag for tag in PROMPTS if tag != NEUTRAL), FREE_TEXT])
def test_strength_moves_the_style_away_from_the_neutral_one(styles_of: StylesOf, emotion: str) -> None:
    neutral, *styles = styles_of((NEUTRAL, 1.0), *((emotion, strength) for strength in (0.0, 0.5, 1.0, 1.5, 2.0)))
    whole = styles[2]

    torch.testing.assert_close(styles[0], neutral)
    torch.testing.assert_close(styles[1], (neutral + whole) / 2)
    torch.testing.assert_close(styles[4], (2 * whole - neutral).clamp(-1, 1))
    for less, more in pairwise(styles):
        assert torch.all((more - less) * (whole - neutral) >= 0)
        assert torch.dist(more, neutral) > torch.dist(less, neutral)


def test_the_neutral_style_stays_whatever_its_strength(styles_of: StylesOf) -> None:
    styles = styles_of(*((NEUTRAL, strength) for strength in (1.0, 0.0, 0.5, 2.0)))
    assert all(torch.equal(style, styles[0]) for style in styles)
