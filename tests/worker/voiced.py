"""Library voices in a worker's world, with clips of the builtin engine."""

import hashlib
import io
import time
from dataclasses import replace
from functools import cache

from audio.encoding import encode
from shared.jobs import NO_TENANT
from shared.voice_library import LibraryVoice, clip_key, embedding_key, source_key
from tests.worker.bookroom import Bookroom
from tests.worker.conftest import World
from voices.encoder import load_encoder
from worker.engine import EngineOptions, Utterance, load_engine

VOICE = "voice-01a00000-0000-7000-8000-000000000001"
OTHER = "voice-01a00000-0000-7000-8000-000000000002"
TEXT = "The boy was there when the sun rose, and we all heard her say good morning to everyone in the house."


@cache
def clip_file(voice: str = "en-slt", text: str = TEXT) -> bytes:
    """Some seconds of speech as a WAV file."""
    engine = load_engine("builtin", EngineOptions())
    waveform = engine.synthesize([Utterance(text, voice)])[0].waveform
    return encode(waveform, format="wav", sample_rate=16_000)


def add_voice(world: World | Bookroom, voice_id: str = VOICE, *, file: bytes = b"", **fields: object) -> LibraryVoice:
    """Record a voice whose clip has come, and is not checked yet."""
    voice = LibraryVoice(voice_id, NO_TENANT, time.time(), **fields)  # pyright: ignore[reportArgumentType]
    world.voices.voices[voice_id] = voice
    if not voice.source_url:
        put(world, source_key(voice_id, voice.revision), file or clip_file())
    return voice


def add_ready_voice(world: World | Bookroom, voice_id: str = VOICE, *, revision: int = 1) -> LibraryVoice:
    """Record a voice whose clip was checked."""
    data = clip_file()
    sha256 = hashlib.sha256(data).hexdigest()
    voice = replace(add_voice(world, voice_id), checked=revision, clip_sha256=sha256, revision=revision)
    world.voices.voices[voice_id] = voice
    world.voices.embeddings[embedding_key(sha256, load_encoder().revision)] = (1.0,) + 255 * (0.0,)
    put(world, clip_key(voice_id, voice.revision), data)
    return voice


def put(world: World | Bookroom, key: str, data: bytes) -> None:
    world.objects.put(key, io.BytesIO(data), length=len(data), content_type="application/octet-stream")
