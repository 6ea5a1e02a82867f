"""How a book is read aloud: what a request says, checked by what the engine offers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.book_schemas import VoicingFields
from gateway.settings import GatewaySettings
from gateway.voice_offer import default_voice
from shared.books import Voicing
from shared.checking import Offer
from shared.errors import UnknownEmotion

_AS_THEY_ARE = ("emotion_strength", "speed", "seed", "pronunciations", "pause_scale")


def new_voicing(body: VoicingFields, offer: Offer, settings: GatewaySettings) -> Voicing:
    """Return how a new book is read.

    Raises:
        JobError: there is no such voice or emotion, or a voice of the tenant's own can't speak.
    """
    return changed_voicing(Voicing(offer.voice(body.voice or default_voice(offer, settings))), body, offer)


def changed_voicing(voicing: Voicing, body: VoicingFields, offer: Offer) -> Voicing:
    """Return the voicing with what the body says of it.

    Raises:
        JobError: as of a new one.
    """
    said: dict[str, Any] = {name: getattr(body, name) for name in _AS_THEY_ARE if getattr(body, name) is not None}
    if body.voice is not None:
        said["voice"] = offer.voice(body.voice)
    if body.dialogue_voice is not None:
        said["dialogue_voice"] = offer.voice(body.dialogue_voice) if body.dialogue_voice else ""
    if body.speakers is not None:
        said["speakers"] = {name: offer.voice(voice) for name, voice in body.speakers.items()}
    if body.emotion is not None:
        said["emotion"] = known_emotion(body.emotion, offer)
    return replace(voicing, **said)


def changed_metadata(metadata: dict[str, str], changes: Mapping[Any, str | None] | None) -> dict[str, str]:
    """Return the metadata with what is changed; what becomes empty is gone."""
    merged = {**metadata, **{name: (text or "").strip() for name, text in (changes or {}).items()}}
    return {name: text for name, text in merged.items() if text}


def voices_named(body: VoicingFields) -> list[str | None]:
    """Return the voices that are named for a book as a whole; None where the narrator is not."""
    return [body.voice, *filter(None, [body.dialogue_voice, *(body.speakers or {}).values()])]


def known_emotion(name: str, offer: Offer) -> str:
    catalogue = offer.catalogue
    if name not in catalogue.emotions and not catalogue.free_text_emotion:
        raise UnknownEmotion(name, catalogue.emotions)
    return name
