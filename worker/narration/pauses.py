"""Why there is silence, and how much of it; `pause_scale` multiplies all of them."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a part ends where it does."""

    WORD = "word"  # a sentence without commas is too long for one call of the engine
    PHRASE = "phrase"
    SPEAKER = "speaker"  # another voice goes on in the middle of a sentence
    SENTENCE = "sentence"
    PARAGRAPH = "paragraph"
    HEADING = "heading"  # before and after it
    SCENE = "scene break"
    CHAPTER = "chapter"  # at its end


SECONDS = {
    Reason.WORD: 0.05,
    Reason.PHRASE: 0.2,
    Reason.SPEAKER: 0.3,
    Reason.SENTENCE: 0.45,
    Reason.PARAGRAPH: 0.9,
    Reason.HEADING: 1.4,
    Reason.SCENE: 2.2,
    Reason.CHAPTER: 3.0,
}
