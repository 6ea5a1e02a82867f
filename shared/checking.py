"""What a request for speech may say: the rules of POST /v1/jobs and of each line of a batch."""

import re
from dataclasses import dataclass

from shared.audio_formats import FORMATS
from shared.errors import (
    ControlCharacter,
    EmptyText,
    TextTooLong,
    UnknownEmotion,
    UnknownFormat,
    UnsupportedControl,
    UnsupportedSampleRate,
)
from shared.job_request import SpeechFields
from shared.jobs import CONTROLS, SpeechRequest
from shared.ports import Catalogue
from shared.voices import VoiceFinder

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Offer:
    """What the engine offers, and its voices made ready to be looked up."""

    catalogue: Catalogue
    voices: VoiceFinder


def offer_of(catalogue: Catalogue) -> Offer:
    return Offer(catalogue, VoiceFinder(catalogue.voices))


def checked(text: str, how: SpeechFields, offer: Offer, *, longest: int, default_voice: str) -> SpeechRequest:
    """Return the request with every default filled in, or raise what is wrong with it.

    Args:
        longest: how many characters a text may have.
        default_voice: who speaks if the request names nobody.
    """
    catalogue = offer.catalogue
    check_text(text, limit=longest)
    voice = offer.voices.find(how.voice or default_voice, blends=catalogue.blends)
    check_controls(how, catalogue)
    if how.emotion not in catalogue.emotions and not catalogue.free_text_emotion:
        raise UnknownEmotion(how.emotion, catalogue.emotions)
    if how.format not in FORMATS:
        raise UnknownFormat(how.format, FORMATS)
    return SpeechRequest(
        text=text,
        voice=voice,
        emotion=how.emotion,
        emotion_strength=how.emotion_strength,
        speed=how.speed,
        **{control: getattr(how, control) for control in CONTROLS},
        format=how.format,
        sample_rate=sample_rate(how, native=catalogue.sample_rate),
        seed=how.seed,
    )


def check_controls(how: SpeechFields, catalogue: Catalogue) -> None:
    """Refuse a control that the engine would ignore; a neutral one changes nothing."""
    for control, neutral in CONTROLS.items():
        if getattr(how, control) != neutral and control not in catalogue.controls:
            raise UnsupportedControl(control, engine=catalogue.engine, allowed=catalogue.controls)


def check_text(text: str, *, limit: int) -> None:
    if not text.strip():
        raise EmptyText
    if len(text) > limit:
        raise TextTooLong(len(text), limit=limit)
    if found := _CONTROL.search(text):
        raise ControlCharacter(found.group(), position=found.start())


def sample_rate(how: SpeechFields, *, native: int) -> int:
    """Return the asked rate if the format has it; unasked, the engine's own or the next above that it has."""
    allowed = FORMATS[how.format].sample_rates
    if how.sample_rate is None:
        return next((rate for rate in sorted(allowed) if rate >= native), max(allowed))
    if how.sample_rate not in allowed:
        raise UnsupportedSampleRate(how.sample_rate, format=how.format, allowed=allowed)
    return how.sample_rate
