"""Which voice a client of OpenAI's API means: one of ours, or one that OpenAI has, for which one of ours speaks."""

from collections.abc import Sequence
from typing import cast

from gateway.settings import GatewaySettings
from gateway.voice_offer import default_voice
from shared.checking import Offer
from shared.errors import UnknownVoice, UnsupportedLanguage
from shared.voice_library import is_library_voice

Voice = dict[str, object]

# OpenAI's names, and what most listeners take the voices for.
GENDER_OF = {
    "alloy": "female",
    "ash": "male",
    "ballad": "male",
    "coral": "female",
    "echo": "male",
    "fable": "male",
    "nova": "female",
    "onyx": "male",
    "sage": "female",
    "shimmer": "female",
    "verse": "male",
    "marin": "female",
    "cedar": "male",
}


def voice_of(name: str, language: str, offer: Offer, settings: GatewaySettings) -> str:
    """Return the voice as a request has it; by default the tenant's or the service's own default.

    A voice of ours comes before one of OpenAI's of that name, and both are the same whatever the text is.

    Args:
        language: what the voice has to read, such as zh or en-US; empty: anything.
    Raises:
        UnknownVoice, InvalidBlend, UnsupportedLanguage: there is no such voice.
        JobError: it is the tenant's own, and can't speak.
    """
    wanted = language.partition("-")[0].lower()
    voices = [voice for voice in offer.catalogue.voices if _reads(voice, wanted)]
    if not voices:
        known = {str(one) for voice in offer.catalogue.voices for one in _languages(voice)}
        raise UnsupportedLanguage(language, sorted(known))
    if not name:
        usual = default_voice(offer, settings)
        if is_library_voice(usual):
            return offer.voice(usual)
        return usual if any(voice["id"] == usual for voice in voices) or not wanted else str(voices[0]["id"])
    if is_library_voice(name):
        return offer.voice(name)
    found = _ours(name, voices, offer, settings)
    speakers = {part.partition("*")[0] for part in found.split("+")}
    if wanted and not speakers <= {voice["id"] for voice in voices}:
        raise UnsupportedLanguage(language, sorted({one for voice in voices for one in _languages(voice)}), voice=name)
    return found


def _ours(name: str, voices: Sequence[Voice], offer: Offer, settings: GatewaySettings) -> str:
    folded = name.lower()
    name = settings.openai_voices.get(folded, name)
    try:
        return offer.voices.find(name, blends=offer.catalogue.blends)
    except UnknownVoice:
        if folded not in GENDER_OF or folded in settings.openai_voices:
            raise
    gender = GENDER_OF[folded]
    alike = [voice for voice in voices if voice["gender"] == gender] or voices
    place = [other for other, its in GENDER_OF.items() if its == gender].index(folded)
    return str(alike[place % len(alike)]["id"])


def _reads(voice: Voice, language: str) -> bool:
    return not language or language in {one.partition("-")[0].lower() for one in _languages(voice)}


def _languages(voice: Voice) -> Sequence[str]:
    return cast(Sequence[str], voice["languages"])
