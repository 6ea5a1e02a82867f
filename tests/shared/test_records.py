"""Records as Redis keeps them: what an earlier version wrote is read, and what is written is read again."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import records
from shared.jobs import CONTROLS, Audio, SpeechRequest
from shared.phonemes import pack, unpack
from tests.fakes import CATALOGUE

REQUEST = SpeechRequest("Hello", "hum", "neutral", 1.0, 1.0, "wav", 16_000, 0)
AUDIO = Audio("address", "key", 10, 1.5, 16_000, "wav", "ab", (("Hello", 0.1, 0.4),), pack([("a", 0, 1)]), ("Oh.",))


def without(record: object, *names: str) -> str:
    """Return the record as a version wrote it that did not know these fields."""
    fields = asdict(record)  # pyright: ignore[reportArgumentType, reportUnknownVariableType] - a dataclass
    return json.dumps({name: value for name, value in fields.items() if name not in names})  # pyright: ignore


def test_what_is_written_is_read_again() -> None:
    assert records.load_request(records.dump(replace(REQUEST, pitch_shift=2.0))) == replace(REQUEST, pitch_shift=2.0)
    audio = replace(AUDIO, voices=("voice-01a00000-0000-7000-8000-000000000001@2",))
    assert records.load_audio(records.dump(audio)) == audio
    assert records.load_catalogue(records.dump(CATALOGUE)) == CATALOGUE


def test_a_request_of_an_earlier_version_has_neutral_controls() -> None:
    assert records.load_request(without(REQUEST, *CONTROLS)) == REQUEST


def test_audio_of_an_earlier_version_has_no_phonemes_and_no_warnings() -> None:
    assert records.load_audio(without(AUDIO, "phonemes", "warnings", "voices")) == replace(
        AUDIO, phonemes="", warnings=()
    )


def test_a_catalogue_of_an_earlier_version_offers_no_controls_and_no_blends() -> None:
    old = records.load_catalogue(without(CATALOGUE, "controls", "blends"))

    assert old == replace(CATALOGUE, controls=(), blends=False)


@given(
    st.lists(st.tuples(st.text(min_size=1, max_size=4), st.integers(0, 300), st.integers(0, 900))), st.floats(0, 9000)
)
def test_phonemes_are_unpacked_to_the_millisecond(spoken: list[tuple[str, int, int]], begins: float) -> None:
    ended, phonemes = 0, list[tuple[str, float, float]]()
    for name, gap, length in spoken:
        phonemes.append((name, (ended + gap) / 1000, (ended + gap + length) / 1000))
        ended += gap + length

    moved = [(name, pytest.approx(begins + start), pytest.approx(begins + end)) for name, start, end in phonemes]
    assert list(unpack(pack(phonemes), begins=begins)) == moved


def test_two_hours_of_phonemes_are_small() -> None:
    phonemes = [
        (("sil", "HH", "AH0", "n", "i3")[n % 5 - n % 3], n * 0.09, (n + 0.5 + n % 7 / 16) * 0.09) for n in range(80_000)
    ]

    assert len(pack(phonemes)) < 250_000
