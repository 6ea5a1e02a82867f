"""Make one edition of a book: its segments are the chapters, each encoded by whichever worker is free; the join puts
them together.
"""

import tempfile
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import BinaryIO

from audio.tags import UnusableCover
from books.editions import ChapterFile, assemble
from books.editions.m4b import UnlikeChapters
from shared import jobs as lifecycle
from shared import tracing
from shared.audio_address import audio_key
from shared.books import FORMATS, fingerprint
from shared.edition_order import TIMED_TEXTS, EditionOrder, load_order
from shared.errors import AudioMissing, EditionImpossible
from shared.jobs import Audio, Job, Outcome, SpeechRequest
from shared.ports import Segment
from worker.attempt import enqueue_next
from worker.claims import Claims
from worker.encoding import ENCODING, cover_of, plans_of
from worker.files import fetched, stored
from worker.joining import SegmentLost, put_together
from worker.lease import Lease, StepLost
from worker.runtime import Runtime
from worker.spoken_chapters import audio_of
from worker.timed_text import write_timed_text


def plan_edition(job: Job, request: SpeechRequest, lease: Lease, runtime: Runtime) -> None:
    """Record a segment for each chapter and enqueue them.

    Raises:
        StepLost: the job was cancelled or has ended, or another worker has the step.
        NotYet: a chapter's audio was lost; it is joined again.
        AudioMissing: it was lost again and again.
    """
    order = load_order(request)
    rate = max(audio_of(chapter, runtime).sample_rate for chapter in order.chapters)
    segments = [Segment(plan, 0.0) for plan in plans_of(order, source_rate=rate)]
    change = runtime.jobs.plan(
        job.id,
        lambda now, step: lifecycle.finish_plan(now, step, token=lease.token, segments=len(segments)),
        segments,
    )
    if change is None or change.outcome is not Outcome.APPLIED:
        raise StepLost(change.outcome if change else Outcome.MISSING)
    enqueue_next(change.job, runtime)


def join_edition(job: Job, request: SpeechRequest, lease: Lease, runtime: Runtime) -> None:
    """Put the encoded chapters together, store that, and finish the job.

    Raises:
        StepLost: the job was cancelled or has ended, another worker has the step, or a chapter is encoded again.
        JobError: it can't be done, or the object store is away.
    """
    put_together(job, lease, runtime, partial(_assembled, load_order(request)))


def _assembled(order: EditionOrder, encoded: dict[str, Audio], claims: Claims) -> Audio:
    """Return the edition, stored; the same may have been made before."""
    titles = [chapter.title for chapter in order.chapters]
    parts = [(audio.address, audio.sha256) for audio in encoded.values()]
    address = fingerprint("edition", ENCODING, order.format, parts, titles, order.metadata, order.cover_sha256)
    content_type, extension = FORMATS[order.format]
    key = audio_key(address, extension=extension)
    if audio := claims.find(address, key):
        return audio
    with tempfile.TemporaryFile() as file:
        with tracing.span("assemble", {"emotivoice.format": order.format}):
            _write(order, encoded, file, claims)
        claims.lease.check()
        claims.storing(key)  # an edition is the book's: it stays when a voice goes
        rate, seconds = next(iter(encoded.values())).sample_rate, sum(audio.seconds for audio in encoded.values())
        audio = Audio(address, key, 0, seconds, rate, order.format, "", warnings=_warnings(order, encoded))
        return stored(file, audio, claims.runtime.objects, content_type=content_type)


def _write(order: EditionOrder, encoded: dict[str, Audio], file: BinaryIO, claims: Claims) -> None:
    cover = cover_of(order, claims.runtime)
    opened = [partial(_opened, step, audio, claims) for step, audio in encoded.items()]
    try:
        if order.format in TIMED_TEXTS:
            write_timed_text(order, list(encoded.values()), opened, file, cover=cover, runtime=claims.runtime)
            return
        chapters = [ChapterFile(one.title, open) for one, open in zip(order.chapters, opened, strict=True)]
        assemble(chapters, file, format=order.format, metadata=order.metadata, cover=cover)
    except (UnusableCover, UnlikeChapters) as error:
        raise EditionImpossible(str(error)) from error


def _opened(step: str, audio: Audio, claims: Claims) -> AbstractContextManager[BinaryIO]:
    """Return an encoded chapter as a file; the lease is looked at between chapters."""
    claims.lease.check()
    return _or_lost(step, audio, claims.runtime)


@contextmanager
def _or_lost(step: str, audio: Audio, runtime: Runtime) -> Generator[BinaryIO]:
    try:
        with fetched(audio.key, runtime.objects, sha256=audio.sha256) as file:
            yield file
    except AudioMissing as error:
        raise SegmentLost(step, audio.key) from error


def _warnings(order: EditionOrder, encoded: dict[str, Audio]) -> tuple[str, ...]:
    """Return what does not keep the loudness that was asked for, by chapter."""
    return tuple(
        f"{chapter.title or number}: {warning}"
        for number, (chapter, audio) in enumerate(zip(order.chapters, encoded.values(), strict=True), 1)
        for warning in audio.warnings
    )
