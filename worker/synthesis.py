"""Speak one segment and store its audio."""

import hashlib
import io
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from audio.encoding import encode
from shared import jobs as lifecycle
from shared import tracing
from shared.audio_address import audio_address, audio_key
from shared.audio_formats import FORMATS
from shared.jobs import Audio, Job, Outcome, SpeechRequest
from shared.phonemes import pack
from shared.ports import Part
from shared.voice_store import library_of
from worker.attempt import enqueue_next
from worker.batching import leave_engine
from worker.cast import Cast
from worker.claims import Claims
from worker.lease import Lease, StepLost
from worker.live import Live, live
from worker.runtime import Runtime
from worker.speaking import Spoken, cast_by, speak_text

# Segments of a long job are kept without loss at the engine's own rate; the join resamples and encodes once.
SEGMENT_FORMAT = "flac"


def speak(job: Job, step: str, request: SpeechRequest, lease: Lease, runtime: Runtime) -> None:
    """Speak the segment, unless its audio is known, store it, and finish the step.

    Raises:
        StepLost: the job was cancelled or has ended, or another worker has the step.
        JobError, EngineError: it could not be done.
    """
    engine = runtime.engine
    if engine is None:
        raise RuntimeError(f"a worker of the lane {runtime.settings.lane} got a segment to speak")
    whole, parts = "", ()
    if job.long:
        segment = runtime.jobs.segment(job.id, step)
        whole, parts = request.text, cast_by(engine, segment.parts, library_of(job.tenant, runtime.voices))
        request = replace(request, text=segment.text, format=SEGMENT_FORMAT, sample_rate=engine.sample_rate)
    cast = Cast.of([request.voice, *(part.voice for part in parts)], job, runtime)
    with Claims(lease, runtime) as claims:
        same = request.sample_rate == engine.sample_rate and not cast.watermark  # else what is stored has other samples
        listened = live(job, step, runtime.live) if same else None
        audio, engine_seconds = _made(request, cast, claims, parts=parts, whole=whole, live=listened)
        change = runtime.jobs.change(
            job.id,
            step,
            partial(
                lifecycle.finish_segment,
                token=lease.token,
                now=time.time(),
                audio=audio,
                engine_seconds=engine_seconds,
                engine=engine.name,
                characters=len(request.text),
            ),
            audio=audio,
            known=lease.started,
        )
        if change is None or change.outcome is not Outcome.APPLIED:
            raise StepLost(change.outcome if change else Outcome.MISSING)
        claims.recorded(audio)
    if change.job.segments_done == change.job.segments_total:
        enqueue_next(change.job, runtime)


def _made(  # noqa: PLR0913 - every argument by name
    request: SpeechRequest,
    cast: Cast,
    claims: Claims,
    *,
    parts: Sequence[Part],
    whole: str,
    live: Live | None,
) -> tuple[Audio, float]:
    """Return the segment's audio, stored, and the engine seconds that it took: none if it was there."""
    extension = FORMATS[request.format].extension
    revision = cast.revision
    address = audio_address(request, engine_revision=revision, parts=parts)
    if audio := claims.find(address, audio_key(address, extension=extension)):
        return audio, 0.0
    imitations = cast.imitations(claims.lease)
    spoken = speak_text(request, cast.speaker, claims.lease, parts=parts, imitations=imitations, whole=whole, live=live)
    leave_engine()
    if not spoken.sounds:  # a job of that text alone must not find it: it fails
        address = audio_address(request, engine_revision=f"{revision}, left out", parts=parts)
        if audio := claims.find(address, audio_key(address, extension=extension)):
            return audio, spoken.engine_seconds
    return _stored(request, spoken, address, cast, claims), spoken.engine_seconds


def _stored(request: SpeechRequest, spoken: Spoken, address: str, cast: Cast, claims: Claims) -> Audio:
    form = FORMATS[request.format]
    with tracing.span("encode", {"emotivoice.format": request.format}):
        data = encode(cast.marked(spoken.waveform), format=request.format, sample_rate=request.sample_rate)
    key = audio_key(address, extension=form.extension)
    claims.storing(key, voices=cast.references)
    claims.runtime.objects.put(key, io.BytesIO(data), length=len(data), content_type=form.content_type)
    return Audio(
        address=address,
        key=key,
        bytes=len(data),
        seconds=spoken.waveform.seconds,
        sample_rate=request.sample_rate,
        format=request.format,
        sha256=hashlib.sha256(data).hexdigest(),
        words=spoken.words,
        phonemes=pack(spoken.phonemes),
        warnings=spoken.warnings,
        parts=spoken.parts,
        retakes=spoken.retakes,
        voices=cast.references,
    )
