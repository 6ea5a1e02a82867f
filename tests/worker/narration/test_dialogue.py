"""Who speaks: what stands in quotes, by whom, and what only looks like it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.jobs import Narration
from tests.worker.narration.chapters import CAST, parts, voices
from worker.engine.text.characters import is_mark

NOBODY = replace(CAST, speakers={})
ANY_TEXT = st.text(st.sampled_from("aS b,.!?:“”‘’'\"«»「」『』说约翰。，：—1"), min_size=1, max_size=60)


def said(text: str, narration: Narration = NOBODY) -> list[str]:
    return [spoken for voice, spoken in voices(text, narration) if voice]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("“Go,” he said.", ["“Go,”"]),
        ('He said, "Go," and left.', ['"Go,"']),
        ("‘Don’t,’ he said.", ["‘Don’t,’"]),
        ("'Don't,' he said.", ["'Don't,'"]),
        ("«Va,» he said.", ["«Va,»"]),
        ("他说：“走吧。”", ["“走吧。”"]),
        ("「走『快』点，」他说。", ["「走『快』点，」"]),
        ("『走吧。』他说。", ["『走吧。』"]),
        ('他说:"走吧。"', ['"走吧。"']),
        ("“He called it ‘home,’ you know,” she said.", ["“He called it ‘home,’ you know,”"]),
        ("‘The boys’ books are here,’ he said.", ["‘The boys’ books are here,’"]),
        ("‘Go’, he said.", ["‘Go’,"]),
        ("“Go!”", ["“Go!”"]),
        ("“I was there. Nobody came.", ["“I was there.", "Nobody came."]),
        ("He said “no” and left.", ["“no”"]),
        ("他说“不”就走了。", ["“不”"]),
    ],
)
def test_what_stands_in_quotes_is_said(text: str, expected: list[str]) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "The boys’ books don’t matter.",
        "'Tis true, and 'twas so in the '90s.",
        "It's John's dog's.",
        'He is 5\'10" tall and 12" wide.',
        "The so-called “expert” came.",
        "所谓的“专家”来了。",
        "rock 'n' roll",
    ],
)
def test_what_is_no_speech_stays_the_narrators(text: str) -> None:
    assert said(text) == []


def test_without_voices_for_it_a_quote_changes_nothing() -> None:
    assert parts("“Go,” he said. Then he left.", Narration()) == [
        replace(part, voice="") for part in parts("“Go,” he said. Then he left.", Narration())
    ]
    assert len(parts("“Go,” he said. Then he left.", Narration())) == 2


def test_a_quote_that_is_not_closed_ends_with_its_paragraph() -> None:
    assert said("“I was there.\n\nNobody came.") == ["“I was there."]


def test_a_quote_goes_on_in_a_paragraph_that_begins_with_it_again() -> None:
    text = "John said: “I was there.\n\n“Nobody came.\n\n“I left.” Mary laughed."

    assert [voice for voice, spoken in voices(text) if "“" in spoken] == ["m", "m", "m"]


def test_a_voice_that_is_asked_for_goes_before_the_dialogues() -> None:
    assert [voice for voice, _ in voices("“[voice: x]Go,[voice] my friend,” said John.")] == ["x", "m", ""]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("“Come,” said John.", "m"),
        ("“Come,” John said.", "m"),
        ("“Come!” cried old John.", "m"),
        ("John then quietly said, “Come.”", "m"),
        ("“Come,” said John, “or stay.”", "mm"),
        ("John said, “Come.” Mary said, “No.”", "mf"),
        ("“Come,” said John. “It is late.” Mary said, “No.”", "mmf"),
        ("Mary shook her head. “No.”", "f"),
        ("John looked at Mary. “No.”", "m"),
        ("John: “Come.” Mary: “No.”", "mf"),
        ("约翰说：“来。”", "m"),
        ("“来，”约翰笑着说，“快来！”", "mm"),
        ("“来！”玛丽喊道。", "f"),
        ("约翰说：“来。”玛丽看着他。“我不去。”她答道。", "mf"),
        ("玛丽：“来。”", "f"),
        ("“Come,” said Johnson.", "d"),
        ("“Come,” she said.", "d"),
        ("“John is here,” she said.", "d"),
        ("“Come.” “No.”", "dd"),
    ],
)
def test_a_quote_is_spoken_by_who_says_it(text: str, expected: str) -> None:
    assert "".join(voice for voice, _ in voices(text) if voice) == expected


def test_a_line_of_a_script_is_said_by_its_name() -> None:
    assert voices("Mary: Good night.") == [("", "Mary:"), ("f", "Good night.")]
    assert voices("玛丽：晚安。") == [("", "玛丽："), ("f", "晚安。")]


@settings(deadline=None)
@given(ANY_TEXT.filter(lambda text: not all(map(is_mark, text))))
def test_every_character_is_spoken_by_somebody(text: str) -> None:
    assert "".join("".join(part.text.split()) for part in parts(text)) == "".join(text.split())
