"""What the stand-in engine says instead, while no worker of the engine that was asked for is warm."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from gateway.known import Known
from shared.job_request import JobRequest
from shared.jobs import CONTROLS, Lane, SpeechRequest
from shared.ports import Catalogue
from shared.voice_library import is_library_voice

NEUTRAL = "neutral"
Voice = dict[str, object]
_HAN, _LATIN_WORD = re.compile("[\u3400-\u9fff]"), re.compile("[A-Za-z]+")


async def stand_in_for(
    body: JobRequest, request: SpeechRequest, asked: Catalogue, known: Known
) -> tuple[SpeechRequest, str]:
    """Return what is to be spoken instead, and a sentence that says so; the request itself and "" if nothing is.

    Only if the client wants that, no worker of its lane is warm, and one of the stand-in's is. Nobody stands in for a
    voice of the tenant's own.
    """
    if body.if_cold != "builtin" or body.brings_voice or is_library_voice(request.voice):
        return request, ""
    if (await known.load(Lane.INTERACTIVE)).warm_workers:
        return request, ""
    other = await known.stand_in()
    if other is None or other.engine == asked.engine or not (await known.load(Lane.STANDIN)).warm_workers:
        return request, ""
    return instead_of(request, asked, other)


def instead_of(request: SpeechRequest, asked: Catalogue, other: Catalogue) -> tuple[SpeechRequest, str]:
    """Return the request as the other engine can speak it, and a sentence that says what became of it."""
    voice = alike(_voice(request.voice, asked), other, language=language(request.text))
    said = f"spoken by the engine {other.engine} with its voice {voice}, because no worker of {asked.engine} was warm"
    lost = [name for name, neutral in CONTROLS.items() if _ignored(name, request, neutral, other)]
    changed = replace(request, voice=voice, **{name: CONTROLS[name] for name in lost})
    if request.emotion not in other.emotions and not other.free_text_emotion:
        changed, lost = replace(changed, emotion=NEUTRAL), ["emotion", *lost]
    return changed, f"{said}; without {', '.join(lost)}, which it does not have" if lost else said


def alike(voice: Voice, other: Catalogue, *, language: str) -> str:
    """Return the id of the voice nearest to that one: of the text's language, if possible, and of the same gender."""

    def difference(one: Voice) -> tuple[bool, bool, bool]:
        languages = cast(Sequence[str], one["languages"])  # its own comes first
        return language not in languages, one["gender"] != voice.get("gender"), languages[0] != language

    return str(min(other.voices, key=difference)["id"])


def language(text: str) -> str:
    """Return what most of the text is in: one Chinese character weighs as much as one English word."""
    han = len(_HAN.findall(text))
    return "zh" if han and han >= len(_LATIN_WORD.findall(text)) else "en"


def _voice(name: str, catalogue: Catalogue) -> Voice:
    """Return the voice of that id; of a blend the first."""
    first = name.partition("+")[0].partition("*")[0]
    return next(voice for voice in catalogue.voices if voice["id"] == first)


def _ignored(control: str, request: SpeechRequest, neutral: float, other: Catalogue) -> bool:
    return getattr(request, control) != neutral and control not in other.controls
