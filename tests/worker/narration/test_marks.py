"""Marks are followed or refused: never spoken, never dropped."""

from dataclasses import replace

import pytest

from shared.errors import EmptyText, InvalidMark
from shared.jobs import Narration
from tests.worker.narration.chapters import CAST, parts, segments
from worker.narration import check_marks
from worker.narration.pauses import SECONDS, Reason

PLAIN = Narration()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Fine.\n\nA [voice: x", "no ] at its end"),
        ("Fine.\n\nA [colour: red] b", "no such mark"),
        ("Fine.\n\nA [pause: 61] b", "from 0 to 60"),
        ("Fine.\n\nA [pause: soon] b", "from 0 to 60"),
        ("Fine.\n\nA [pause] b", "needs its seconds"),
        ("Fine.\n\nA [speed: 9] b", "from 0.25 to 4"),
        ("Fine.\n\n[emotion: happy 3] b", "from 0 to 2"),
        ("Fine.\n\n[voice: ] b", "no value"),
        ("Fine.\n\n[voice: x]", "nothing follows it"),
    ],
)
def test_a_mark_that_cannot_be_followed_is_refused_with_its_paragraph(text: str, why: str) -> None:
    with pytest.raises(InvalidMark, match=r"paragraph 2: .*pause: 1\.5") as refused:
        segments(text)

    assert why in str(refused.value)
    assert (refused.value.paragraph, refused.value.code) == (2, "invalid_mark")


def test_a_pause_before_the_first_word_is_refused() -> None:
    with pytest.raises(InvalidMark, match="nothing is spoken before it"):
        segments("[pause: 1]Hello.")


@pytest.mark.parametrize("text", ["", "***", "* * *\n\n……", "# ***"])
def test_a_chapter_without_a_word_is_refused(text: str) -> None:
    with pytest.raises(EmptyText):
        segments(text)


@pytest.mark.parametrize("text", ["[sic]", "[1]", "[Note: lost]", "[John said: no]", "a \\ b", "[x](http://a.b)"])
def test_brackets_that_are_no_mark_are_text(text: str) -> None:
    assert [part.text for part in parts(f"Word {text} word")] == [f"Word {text} word"]


@pytest.mark.parametrize(
    ("text", "spoken"),
    [(r"\[voice: x] a", "[voice: x] a"), (r"\# one", "# one"), (r"\*** one", "*** one"), (r"a\\b", r"a\b")],
)
def test_an_escaped_character_is_itself(text: str, spoken: str) -> None:
    assert [part.text for part in parts(text)] == [spoken]


def test_a_style_ends_with_its_paragraph() -> None:
    heard = [(part.voice, part.emotion, part.emotion_strength, part.speed) for part in parts(
        "[voice: x][emotion: sad 0.5][speed: 0.8]One.\n\nTwo."
    )]  # fmt: skip

    assert heard == [("x", "sad", 0.5, 0.8), ("", "", None, None)]


def test_a_style_ends_where_it_is_taken_back() -> None:
    heard = [(part.voice, part.emotion, part.speed, part.text) for part in parts(
        "[voice：x]One.[voice] Two. [emotion: very happy]Three.[emotion] [speed: 2]Four.[speed] Five."
    )]  # fmt: skip

    assert heard == [
        ("x", "", None, "One."),
        ("", "", None, "Two."),
        ("", "very happy", None, "Three."),
        ("", "", 2.0, "Four."),
        ("", "", None, "Five."),
    ]


def test_a_mark_of_the_narrators_own_voice_changes_nothing() -> None:
    assert segments("[voice: narrator]One.")[0] == segments("One.")[0]


def test_the_pause_behind_a_segment_says_what_follows() -> None:
    text = "# Title\n\nOne.\n\nTwo.\n\n***\n\nThree.\n\n## Title\nFour."
    expected = [Reason.HEADING, Reason.PARAGRAPH, Reason.SCENE, Reason.HEADING, Reason.HEADING, Reason.CHAPTER]

    assert [segment.pause_seconds for segment in segments(text)] == [SECONDS[reason] for reason in expected]


def test_a_mark_replaces_the_pause_that_would_be_there() -> None:
    text = "One. [pause: 2]Two, [pause: 0]three.\n\n[pause: 4]\n\nFour.[pause: 0.1]\n\nFive."

    heard = [(part.pause_seconds or segment.pause_seconds) for segment in segments(text) for part in segment.parts]

    assert heard == [2, 4, 4, 0.1, SECONDS[Reason.CHAPTER]]  # the second is 0, and the segment's own is shown


def test_the_scale_changes_every_pause_but_those_of_marks() -> None:
    text = "One. Two. [pause: 2]Three.\n\nFour."
    once, twice = (segments(text, replace(PLAIN, pause_scale=scale)) for scale in (1.0, 2.0))

    assert [one.pause_seconds * 2 for one in once] == [one.pause_seconds for one in twice]
    assert [part.pause_seconds for part in twice[0].parts] == [0.9, 2, 0]


def test_a_line_break_is_a_blank_but_not_between_chinese_characters() -> None:
    assert [part.text for part in parts("天气\n很好\nand\nfine")] == ["天气很好 and fine"]


def test_a_long_sentence_pauses_at_its_commas_and_hardly_between_words() -> None:
    clause = "and then the weather was getting better every single day"
    heard = [part.pause_seconds for part in parts(f"{clause}, {clause}, {clause} {clause} {clause}.")]

    assert SECONDS[Reason.PHRASE] in heard
    assert SECONDS[Reason.WORD] in heard


def test_what_is_wrong_is_told_beforehand() -> None:
    text = "[voice: nobody]One.\n\n[emotion: odd]Two.\n\nThree."

    problems = check_marks(text, has_voice="x".__eq__, emotions=("happy",))

    assert [problem.split(":")[0] for problem in problems] == ["paragraph 1", "paragraph 2"]
    assert not [*check_marks("[emotion: odd][voice: x]Two.", has_voice="x".__eq__, emotions=())]
    assert len([*check_marks("[a: b]\n\n[c: d]", has_voice="x".__eq__, emotions=())]) == 2


def test_pronunciations_are_heard_and_the_writing_stays() -> None:
    words = {"gif": "jif", "US": "you ess", "行长": "/hang2 zhang3/", "行": "/xing2/", "naïve": "nye eve"}
    (part,) = parts("Gif, GIFT, us and US; naïve; 银行行长 [gif](/G/).", replace(CAST, pronunciations=words))

    assert part.text == ("jif, GIFT, us and you ess; nye eve; 银[行](/xing2/)[行长](/hang2 zhang3/) [gif](/G/).")
    assert part.written == "Gif, GIFT, us and US; naïve; 银行行长 gif."


def test_what_is_spoken_as_it_is_written_is_not_kept_twice() -> None:
    assert parts("Plain.")[0].written == ""
