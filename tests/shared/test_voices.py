"""Which voice a client means."""

import pytest

from shared.errors import InvalidBlend, UnknownVoice
from shared.voices import VoiceFinder

NAMES = {"8051": "Maria Kasper", "985": "George Pilling", "92": "Anna", "93": "anna", "hum": "Hum", "11614": ""}


@pytest.fixture
def finder() -> VoiceFinder:
    return VoiceFinder({"id": voice_id, "name": name} for voice_id, name in NAMES.items())


@pytest.mark.parametrize(
    ("asked", "voice"),
    [
        ("8051", "8051"),
        (" 8051\n", "8051"),
        ("maria kasper ", "8051"),
        ("8051 * 7+ George Pilling", "8051*7+985*1"),
    ],
)
def test_an_id_a_name_or_a_blend(finder: VoiceFinder, asked: str, voice: str) -> None:
    assert finder.find(asked, blends=True) == voice


@pytest.mark.parametrize(
    ("asked", "nearest"), [("Maria Kaspar", "Maria Kasper"), ("8052", "8051"), ("985+george piling", "George Pilling")]
)
def test_the_nearest_ids_and_names_are_told(finder: VoiceFinder, asked: str, nearest: str) -> None:
    with pytest.raises(UnknownVoice, match=f"nearest: {nearest}") as refused:
        finder.find(asked, blends=True)

    assert refused.value.nearest[0] == nearest
    assert "there are 6 voices" in str(refused.value)


@pytest.mark.parametrize(("asked", "nearest"), [("Anna", []), ("humm", ["hum"])])
def test_what_would_be_refused_or_is_the_same_again_is_not_told(
    finder: VoiceFinder, asked: str, nearest: list[str]
) -> None:
    with pytest.raises(UnknownVoice) as refused:
        finder.find(asked, blends=True)

    assert [*refused.value.nearest] == nearest


@pytest.mark.parametrize("asked", ["*", "+", "*0.5", "8051+", "8051* 0.5 + *0.5"])
def test_a_blend_that_lacks_a_voice_is_no_unknown_voice(finder: VoiceFinder, asked: str) -> None:
    with pytest.raises(InvalidBlend, match="there is no voice in its part"):
        finder.find(asked, blends=True)
