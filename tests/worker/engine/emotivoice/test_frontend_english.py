"""English words: the dictionary, endings, and the network that reads letters."""

import pytest

from worker.engine.emotivoice.frontend import english
from worker.engine.emotivoice.frontend.g2p import LONGEST, PHONES
from worker.engine.emotivoice.frontend.phonemes import EDGE

KNOWN = set(PHONES) - {"<pad>", "<unk>", "<s>", "</s>", "UW"}


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("Happy", "HH AE1 P IY0"),
        ("isn't", "IH1 Z AH0 N T"),
        ("o'clock", "AH0 K L AA1 K"),
        ("l'amour", "L AE1 M AO0 R"),
        ("'em", "AH0 M"),
        ("the", "DH AH0"),
        ("a", "AH0"),
    ],
)
def test_a_word_of_the_dictionary(word: str, phones: str) -> None:
    assert " ".join(english.pronounce(word)) == phones


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("zzzxqw", "Z K AO1 Z K W EH0 CH"),
        ("emoji", "EH0 M OW1 JH IY0"),
    ],
)
def test_a_word_that_no_dictionary_has_is_read_like_g2p_en(word: str, phones: str) -> None:
    assert not english.is_known(word)
    assert " ".join(english.pronounce(word)) == phones


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("emoji's", "EH0 M OW1 JH IY0 Z"),
        ("google'd", "G UW1 G AH0 L D"),
        ("chatbot's", None),
        ("test's", "T EH1 S T S"),
        ("wish'd", "W IH1 SH D"),
        ("box's", "B AA1 K S IH0 Z"),
        ("kate'll", "K EY1 T AH0 L"),
        ("mustn't've", "M AH1 S AH0 N T AH0 V"),
    ],
)
def test_endings(word: str, phones: str | None) -> None:
    said = english.pronounce(word)
    assert " ".join(said) == phones if phones else said[-1] == "S"


def test_initials_in_small_letters_are_spelled_and_sounds_are_not() -> None:
    assert " ".join(english.pronounce("https")) == "EY1 CH T IY1 T IY1 P IY1 EH1 S"
    assert " ".join(english.pronounce("gpt")) == "JH IY1 P IY1 T IY1"
    assert len(english.pronounce("mmm")) < 6


def test_the_letter_a_has_a_name() -> None:
    assert (english.pronounce("A"), english.pronounce("A", as_letter=True)) == (("AH0",), ("EY1",))


@pytest.mark.parametrize("word", ["a" * 3000, "pneumonoultramicroscopicsilicovolcanoconiosis" * 2, "bcdfgh" * 50])
def test_a_long_word_is_read_to_its_end(word: str) -> None:
    said = english.pronounce(word)
    assert set(said) <= KNOWN
    assert len(said) > len(word) // LONGEST


@pytest.mark.parametrize("ending", ["'d", "n't", "'s", "'m"])
def test_a_word_may_have_any_number_of_endings(ending: str) -> None:
    assert len(english.pronounce("a" + ending * 30_000)) > 30_000


@pytest.mark.parametrize("word", ["'", "''", ""])
def test_without_letters_there_is_no_sound(word: str) -> None:
    assert english.pronounce(word) == ()
    assert EDGE not in english.pronounce(word)
