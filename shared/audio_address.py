"""The address of audio: a hash of all that decides its samples, so that equal work is found instead of done again."""

import hashlib
import json
import unicodedata
from dataclasses import asdict

from shared.jobs import SpeechRequest


def audio_address(request: SpeechRequest, *, engine_revision: str) -> str:
    """Return the SHA-256, in hex, over engine revision, text, voice, emotion, speed, seed, format and sample rate."""
    parts = asdict(request) | {
        "text": unicodedata.normalize("NFC", request.text).strip(),
        "engine_revision": engine_revision,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def audio_key(address: str, *, extension: str) -> str:
    """Return the object's key in the bucket."""
    return f"audio/{address[:2]}/{address}.{extension}"
