"""Check the clips of library voices before anything is spoken with them, and embed each clip's speaker once."""

import hashlib
import io
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from audio.encoding import encode
from audio.waveform import Waveform
from shared.errors import AudioMissing, PoorClip, VoiceDeleted
from shared.fetching import UnwantedAnswer, fetch
from shared.jobs import Job, SpeechRequest
from shared.outbound import TargetRefused, TargetUnreachable
from shared.voice_library import (
    LibraryVoice,
    VoiceState,
    clip_key,
    embedding_key,
    library_voices,
    source_key,
)
from voices import clip as clips
from voices.activity import speech_only
from voices.child import decode_safely
from voices.decoding import ClipLimits, UnreadableClip
from voices.encoder import Floats, load_encoder
from worker.attempt import NotYet
from worker.imitating import present
from worker.lease import Lease
from worker.metrics import EMBEDDINGS
from worker.runtime import Runtime

FETCH_SECONDS = 30.0
CLIP_TYPES = (
    "audio/",
    "video/mp4",
    "video/webm",
    "application/ogg",
    "application/octet-stream",
    "binary/octet-stream",  # Amazon's, for what was stored without a type
)


class BeingChecked(NotYet):
    """Raised in the work when another worker checks the same clip just now."""

    outcome = "checked_elsewhere"

    def __init__(self) -> None:
        super().__init__(1.0)


def prepare(job: Job, request: SpeechRequest, lease: Lease, runtime: Runtime) -> None:
    """Check the clips of the request's library voices, those that are not yet. Done twice, it does nothing more.

    Raises:
        PoorClip: one of them will not do; its voice has the reasons.
        VoiceDeleted: a voice is gone, or has another clip.
        NotYet: another worker checks the same clip.
        StepLost: the job was cancelled or has ended, or another worker has the step.
    """
    for reference in library_voices(request.voices):
        voice = present(reference, job.tenant, runtime)
        if voice.state is VoiceState.CHECKING:
            voice = _checked(voice, lease, runtime)
        if voice.problems:
            raise PoorClip(voice.problems)


def _checked(voice: LibraryVoice, lease: Lease, runtime: Runtime) -> LibraryVoice:
    """Return the voice as it is once its clip is checked."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip"
        try:
            with path.open("wb") as file:
                _bring(voice, file, runtime)
            return _heard(voice, path, lease, runtime)
        except UnreadableClip as error:
            return _record(replace(voice, problems=(str(error),)), runtime)
        except clips.PoorClip as error:
            return _record(replace(voice, problems=error.problems, report=_measured(error.report)), runtime)


def _bring(voice: LibraryVoice, file: BinaryIO, runtime: Runtime) -> None:
    """Write what the owner sent, or what is at the address that was named."""
    try:
        for block in runtime.objects.read(source_key(voice.id, voice.revision)):
            file.write(block)
    except AudioMissing as error:
        if not voice.source_url:
            raise UnreadableClip("Its file is not there: it was never sent, or is gone. Send it again.") from error
        _fetch(voice.source_url, file, runtime)


def _fetch(url: str, file: BinaryIO, runtime: Runtime) -> None:
    settings = runtime.settings
    try:
        fetch(
            url,
            file,
            rules=settings.clip_rules,
            types=CLIP_TYPES,
            seconds=FETCH_SECONDS,
            most_bytes=settings.max_clip_bytes,
        )
    except (TargetRefused, TargetUnreachable, UnwantedAnswer) as error:
        raise UnreadableClip(f"It could not be fetched: {error}.") from error


def _keep_fetched(voice: LibraryVoice, path: Path, runtime: Runtime) -> None:
    """Keep what was fetched: its server is not asked again each second that the clip waits for another worker."""
    key, size = source_key(voice.id, voice.revision), path.stat().st_size
    if voice.source_url and not runtime.objects.exists(key, bytes=size):
        with path.open("rb") as file:
            runtime.objects.put(key, file, length=size, content_type="application/octet-stream")


def _heard(voice: LibraryVoice, path: Path, lease: Lease, runtime: Runtime) -> LibraryVoice:
    """Check the clip in the file, and keep what a voice is made of: the clip, and its speaker's embedding."""
    with path.open("rb") as file:
        voice = replace(voice, clip_sha256=hashlib.file_digest(file, "sha256").hexdigest())
    with runtime.library.held(f"clip:{voice.clip_sha256}", runtime.settings.lease_seconds) as hold_on:
        if hold_on is None:
            _keep_fetched(voice, path, runtime)
            raise BeingChecked
        lease.keep(hold_on)
        recording = decode_safely(path, limits=ClipLimits(runtime.settings.max_clip_bytes), check=lease.check)
        _tell_its_clip(voice, runtime)
        runtime.library.using(voice.clip_sha256, voice.id)
        known = _known(voice, runtime)
        try:
            clip = clips.checked(recording, load_encoder(), known=known)
        except clips.PoorClip:
            runtime.library.leave_clip(voice)
            raise
        if known is None:
            _keep(clip.embedding, voice, runtime)
    size = _put(clip_key(voice.id, voice.revision), encoded(clip.waveform), "audio/flac", runtime)
    return _record(replace(voice, report=_measured(clip.report), clip_bytes=size), runtime)


def _tell_its_clip(voice: LibraryVoice, runtime: Runtime) -> None:
    """Record what the voice's clip is before anything is kept of it: whoever deletes the voice deletes that too."""

    def told(now: LibraryVoice) -> LibraryVoice | None:
        wanted = not now.over and now.revision == voice.revision
        return replace(now, clip_sha256=voice.clip_sha256) if wanted else None

    now = runtime.library.change(voice.id, told)
    if now is None or now.over or now.revision != voice.revision:
        raise VoiceDeleted(voice.id)


def _measured(report: clips.ClipReport) -> dict[str, float]:
    return {name: number for name, number in asdict(report).items() if number is not None}


def encoded(clip: Waveform) -> bytes:
    """Return a clip as it is stored: without loss."""
    return encode(clip, format="flac", sample_rate=clip.sample_rate)


def _record(voice: LibraryVoice, runtime: Runtime) -> LibraryVoice:
    """Record what came of the check, if it is still this clip that is wanted."""

    def checked(now: LibraryVoice) -> LibraryVoice | None:
        if now.over or now.revision != voice.revision:
            return None
        found = {name: getattr(voice, name) for name in ("problems", "report", "clip_sha256", "clip_bytes")}
        return replace(now, checked=voice.revision, **found)

    now = runtime.library.change(voice.id, checked)
    if now is None or now.checked != voice.revision:
        _let_go(voice, runtime)
        raise VoiceDeleted(voice.id)
    return now


def _let_go(voice: LibraryVoice, runtime: Runtime) -> None:
    """Delete what was kept for a voice that is gone meanwhile: who deleted it could not see it."""
    if voice.clip_bytes:
        runtime.objects.delete(clip_key(voice.id, voice.revision))
        if runtime.library.leave_clip(voice):
            runtime.objects.delete(_embedding_key(voice))


def embedding_of(voice: LibraryVoice, clip: Waveform, runtime: Runtime) -> tuple[float, ...]:
    """Return the speaker embedding of a voice's clip, which is computed once for all workers."""
    known = _known(voice, runtime)
    if known is None:
        known = load_encoder().embed(speech_only(clip))
        runtime.library.using(voice.clip_sha256, voice.id)
        _keep(known, voice, runtime)
    return tuple(known.tolist())


def _known(voice: LibraryVoice, runtime: Runtime) -> Floats | None:
    """Return the embedding of the voice's clip, if it was computed before."""
    key = _embedding_key(voice)
    if numbers := runtime.library.embedding(key):
        EMBEDDINGS.labels("redis").inc()
        return np.array(numbers, np.float32)
    try:
        found = np.frombuffer(b"".join(runtime.objects.read(key)), "<f4").astype(np.float32)
    except AudioMissing:
        return None
    EMBEDDINGS.labels("s3").inc()
    runtime.library.keep_embedding(key, found.tolist())
    return found


def _keep(embedding: Floats, voice: LibraryVoice, runtime: Runtime) -> None:
    EMBEDDINGS.labels("computed").inc()
    key = _embedding_key(voice)
    _put(key, embedding.astype("<f4").tobytes(), "application/octet-stream", runtime)
    runtime.library.keep_embedding(key, embedding.tolist())


def _embedding_key(voice: LibraryVoice) -> str:
    return embedding_key(voice.clip_sha256, load_encoder().revision)


def _put(key: str, data: bytes, content_type: str, runtime: Runtime) -> int:
    runtime.objects.put(key, io.BytesIO(data), length=len(data), content_type=content_type)
    return len(data)
