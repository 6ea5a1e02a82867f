"""What a request for speech may say: the rules of POST /v1/jobs and of each line of a batch."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from shared.audio_formats import FORMATS
from shared.errors import (
    CloningUnavailable,
    ControlCharacter,
    EmptyText,
    InvalidBlend,
    TextTooLong,
    UnknownEmotion,
    UnknownFormat,
    UnknownVoice,
    UnsupportedControl,
    UnsupportedSampleRate,
    VoiceDeleted,
    VoiceFailed,
    VoiceNotReady,
)
from shared.job_request import SpeechFields
from shared.jobs import CONTROLS, SpeechRequest
from shared.ports import Catalogue
from shared.voice_library import LibraryVoice, VoiceState, is_library_voice, parse
from shared.voices import VoiceFinder

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


Library = Callable[[str], LibraryVoice | None]  # from the id of a voice to the voice, if the tenant has it


def no_library(_: str) -> LibraryVoice | None:
    return None


@dataclass(frozen=True)
class Offer:
    """What the engine offers, its voices made ready to be looked up, and the voices of a tenant's own."""

    catalogue: Catalogue
    voices: VoiceFinder
    library: Library = no_library
    default: str = ""  # the voice that the tenant has chosen for texts which name none

    def voice(self, name: str) -> str:
        """Return the voice as a request has it: an id, a blend of ids, or a library voice with its revision.

        Raises:
            UnknownVoice, InvalidBlend: there is no such voice.
            VoiceNotReady, VoiceFailed, VoiceDeleted, CloningUnavailable: it is in the library, and can't speak.
        """
        if not is_library_voice(name):
            return self.voices.find(name, blends=self.catalogue.blends)
        return reference_to(name, self.library, self.catalogue)

    def has(self, name: str) -> bool:
        """Whether there is such a voice; one that is there and can't speak is told as `voice` does."""
        try:
            self.voice(name)
        except (UnknownVoice, InvalidBlend, VoiceDeleted):
            return False
        return True


def reference_to(name: str, library: Library, catalogue: Catalogue) -> str:
    """Return a library voice as a request has it: with its revision.

    Raises:
        UnknownVoice, VoiceNotReady, VoiceFailed, VoiceDeleted, CloningUnavailable: it can't speak.
    """
    voice_id, revision = parse(name)
    voice = library(voice_id)
    if revision and (voice is None or voice.revision != revision):  # when it was named, it was there
        raise VoiceDeleted(voice_id)
    if voice is None:
        raise UnknownVoice(voice_id, catalogue.voice_ids)
    if not catalogue.imitates:
        raise CloningUnavailable(catalogue.engine)
    if voice.state is VoiceState.CHECKING:
        raise VoiceNotReady(voice_id)
    if voice.state is VoiceState.FAILED:
        raise VoiceFailed(voice_id, voice.problems)
    return voice.reference


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
    voice = offer.voice(how.voice or default_voice)
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
