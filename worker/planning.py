"""Cut a long text into segments, each spoken by whichever worker is free."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import replace

from shared import jobs as lifecycle
from shared.checking import reference_to
from shared.errors import NoCatalogue, QueueUnavailable, StoreUnavailable
from shared.jobs import PLAN, Job, Outcome, SpeechRequest
from shared.ports import Part, Segment
from shared.speech_length import estimated_seconds
from shared.voice_library import is_library_voice, library_voices
from shared.voice_store import library_of
from worker.attempt import enqueue_next
from worker.engine.text.segmentation import Pause, Piece, split
from worker.lease import Lease, StepLost
from worker.narration import narrate
from worker.runtime import Runtime

log = logging.getLogger(__name__)

# What the first utterance of a text that somebody listens to has over all other work that comes of the text.
HEAD_START_SECONDS = 0.2

# From here on a paragraph ends the segment, from there on a sentence does, and beyond the last anything does.
SHORT_SECONDS, LONG_SECONDS, LONGEST_SECONDS = 20.0, 30.0, 50.0


def plan(job: Job, request: SpeechRequest, lease: Lease, runtime: Runtime) -> None:
    """Record the segments of the text and enqueue them.

    Raises:
        StepLost: the job was cancelled or has ended, or another worker has the step.
        InvalidMark, EmptyText, UnknownVoice: it is a chapter that can't be read aloud.
        PoorClip, VoiceDeleted, NotYet: of a library voice that speaks it.
    """
    if library_voices(request.voices):
        from worker.voice_clips import prepare  # needs the extra `voices`

        prepare(job, request, lease, runtime)
    segments = _narrated(job, request, runtime) if request.narration else cut(request.text, speed=request.speed)
    change = runtime.jobs.plan(
        job.id,
        lambda now, step: lifecycle.finish_plan(now, step, token=lease.token, segments=len(segments)),
        segments,
    )
    if change is None or change.outcome is not Outcome.APPLIED:
        raise StepLost(change.outcome if change else Outcome.MISSING)
    if first := change.job.goes_on_with(PLAN):
        enqueue_later(change.job, runtime, but=first)
    else:
        enqueue_next(change.job, runtime)


def _narrated(job: Job, request: SpeechRequest, runtime: Runtime) -> list[Segment]:
    """Return the segments of a chapter. Marks name library voices as their owner does: here their revision comes in."""
    segments = narrate(request)
    named = dict.fromkeys(part.voice for one in segments for part in one.parts if is_library_voice(part.voice))
    if not named:
        return segments
    if (catalogue := runtime.jobs.catalogue()) is None:
        raise NoCatalogue
    library = library_of(job.tenant, runtime.voices)
    voices = {name: reference_to(name, library, catalogue) for name in named}
    return [replace(one, parts=tuple(_cast(part, voices) for part in one.parts)) for one in segments]


def _cast(part: Part, voices: Mapping[str, str]) -> Part:
    return replace(part, voice=voices.get(part.voice, part.voice))


def enqueue_later(job: Job, runtime: Runtime, *, but: str) -> None:
    """Enqueue the segments in a moment, but for the one that this worker speaks now."""

    def others() -> None:
        time.sleep(HEAD_START_SECONDS)
        try:
            enqueue_next(job, runtime, but=but)
        except (QueueUnavailable, StoreUnavailable):
            log.warning("a server is away: the sweeper will enqueue the segments", extra={"job_id": job.id})

    threading.Thread(target=others, name="segments", daemon=True).start()


def cut(text: str, *, speed: float = 1.0) -> list[Segment]:
    """Return the text's segments, each of whole utterances and about 20 to 50 seconds of speech."""
    segments: list[Segment] = []
    pieces: list[Piece] = []
    seconds = 0.0
    for piece in split(text):
        pieces.append(piece)
        seconds += estimated_seconds(piece.text) / speed + piece.pause_seconds
        if _ends(piece.pause, seconds):
            segments.append(_segment(pieces))
            pieces, seconds = [], 0.0
    return [*segments, _segment(pieces)] if pieces else segments


def _ends(pause: Pause, seconds: float) -> bool:
    return (
        (pause is Pause.PARAGRAPH and seconds >= SHORT_SECONDS)
        or (pause is Pause.SENTENCE and seconds >= LONG_SECONDS)
        or seconds >= LONGEST_SECONDS
    )


def _segment(pieces: list[Piece]) -> Segment:
    """Return the pieces as one text that splits into them again, and the pause after the last."""
    breaks = ["\n\n" if piece.pause is Pause.PARAGRAPH else " " for piece in pieces[:-1]]
    text = "".join(piece.text + gap for piece, gap in zip(pieces, [*breaks, ""], strict=True))
    return Segment(text, pieces[-1].pause_seconds)
