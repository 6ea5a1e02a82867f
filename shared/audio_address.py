"""The address of audio: a hash of all that decides its samples, so that equal work is found instead of done again."""

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict

from shared.jobs import SpeechRequest
from shared.ports import Part


def audio_address(request: SpeechRequest, *, engine_revision: str, parts: Sequence[Part] = ()) -> str:
    """Return the SHA-256, in hex, over engine revision, text, voice, emotion, speed, seed, format and sample rate.

    Args:
        parts: what is spoken of a narrated segment, each in its own way.
    """
    told = asdict(request)
    del told["narration"]  # it decides what the segments are, not how they sound
    told |= {"text": unicodedata.normalize("NFC", request.text).strip(), "engine_revision": engine_revision}
    if parts:
        told["parts"] = [asdict(part) for part in parts]
    return hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def audio_key(address: str, *, extension: str) -> str:
    """Return the object's key in the bucket."""
    return f"audio/{address[:2]}/{address}.{extension}"
