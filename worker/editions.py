"""Make one edition of a book: its segments are the chapters, each encoded by whichever worker is free; the join puts
them together.
"""

import json
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, BinaryIO

from audio.tags import Cover, UnusableCover
from books.editions import EDITIONS, ChapterFile, ChapterTags, EncodedChapter, assemble, encode_chapter
from books.editions.m4b import UnlikeChapters
from shared import jobs as lifecycle
from shared import tracing
from shared.audio_address import audio_key
from shared.audio_formats import FORMATS
from shared.books import FORMATS as EDITION_FORMATS
from shared.books import fingerprint
from shared.edition_order import EditionOrder, SpokenChapter, load_order
from shared.errors import AudioMissing, EditionImpossible
from shared.jobs import Audio, Job, Outcome, SpeechRequest
from shared.ports import Segment
from worker.attempt import enqueue_next
from worker.claims import Claims
from worker.files import fetched, stored
from worker.joining import SegmentLost, put_together
from worker.lease import Lease, StepLost
from worker.runtime import Runtime
from worker.spoken_chapters import audio_of, speak_again
from worker.timed_text import write_timed_text

ENCODING = "1"  # another one, and no chapter or edition that was made before is found
ACX_SAMPLE_RATE = 44_100  # what Audible takes
TIMED_TEXTS = ("srt", "vtt", "epub")  # are timed by the chapters as an M4B has them


@dataclass(frozen=True)
class _Chapter:
    """What the plan says of a chapter to those who encode it."""

    number: int
    source: SpokenChapter
    format: str
    sample_rate: int
    count: int


def plan_edition(job: Job, request: SpeechRequest, lease: Lease, runtime: Runtime) -> None:
    """Record a segment for each chapter and enqueue them.

    Raises:
        StepLost: the job was cancelled or has ended, or another worker has the step.
        NotYet: a chapter's audio was lost; it is joined again.
        AudioMissing: it was lost again and again.
    """
    order = load_order(request)
    source_rate = max(audio_of(chapter, runtime).sample_rate for chapter in order.chapters)
    form = EDITIONS[_chapter_format(order.format)].audio_format
    rate = _rate(source_rate, FORMATS[form].sample_rates, acx=order.loudness == "acx")
    plans = [
        _Chapter(number, chapter, _chapter_format(order.format), rate, len(order.chapters))
        for number, chapter in enumerate(order.chapters, 1)
    ]
    segments = [Segment(json.dumps(asdict(one), ensure_ascii=False), 0.0) for one in plans]
    change = runtime.jobs.plan(
        job.id,
        lambda now, step: lifecycle.finish_plan(now, step, token=lease.token, segments=len(segments)),
        segments,
    )
    if change is None or change.outcome is not Outcome.APPLIED:
        raise StepLost(change.outcome if change else Outcome.MISSING)
    enqueue_next(change.job, runtime)


def _chapter_format(edition: str) -> str:
    return "m4b" if edition in TIMED_TEXTS else edition


def _rate(source: int, offered: Sequence[int], *, acx: bool) -> int:
    """Return the format's nearest sample rate that loses nothing."""
    wanted = max(source, ACX_SAMPLE_RATE) if acx else source
    return min((rate for rate in offered if rate >= wanted), default=max(offered))


def encode(job: Job, step: str, request: SpeechRequest, lease: Lease, runtime: Runtime) -> None:
    """Encode one chapter, unless that was done before, store it, and finish the step.

    Raises:
        StepLost, NotYet, AudioMissing: as `plan_edition`.
        EditionImpossible: the cover is no picture.
    """
    order, chapter = load_order(request), _load_chapter(runtime.jobs.segment(job.id, step).text)
    spoken = audio_of(chapter.source, runtime)
    with Claims(lease, runtime) as claims:
        audio = _encoded(order, chapter, spoken, claims)
        change = runtime.jobs.change(
            job.id,
            step,
            partial(lifecycle.finish_segment, token=lease.token, now=time.time(), audio=audio, engine_seconds=0.0),
            audio=audio,
            known=lease.started,
        )
        if change is None or change.outcome is not Outcome.APPLIED:
            raise StepLost(change.outcome if change else Outcome.MISSING)
        claims.recorded(audio)
    if change.job.segments_done == change.job.segments_total:
        enqueue_next(change.job, runtime)


def _load_chapter(text: str) -> _Chapter:
    fields: dict[str, Any] = json.loads(text)
    return _Chapter(source=SpokenChapter(**fields.pop("source")), **fields)


def _encoded(order: EditionOrder, chapter: _Chapter, spoken: Audio, claims: Claims) -> Audio:
    """Return the chapter's audio as the edition has it, stored. What is alike in two editions is made once."""
    runtime = claims.runtime
    tags: list[object] = []
    if chapter.format != "m4b":  # of which only the whole has them
        tags = [chapter.source.title, chapter.number, chapter.count, order.metadata, order.cover_sha256]
    address = fingerprint(
        "chapter", ENCODING, spoken.address, spoken.sha256, chapter.format, order.loudness, chapter.sample_rate, tags
    )
    edition = EDITIONS[chapter.format]
    key = audio_key(address, extension=edition.chapter_extension)
    if audio := claims.find(address, key):
        return audio
    with tempfile.TemporaryFile() as file:
        made = _encode(order, chapter, spoken, file, runtime)
        claims.lease.check()
        claims.storing()
        audio = Audio(
            address,
            key,
            0,
            made.seconds,
            chapter.sample_rate,
            edition.audio_format,
            "",
            warnings=made.warnings,
            measured=_measured(made),
        )
        return stored(file, audio, runtime.objects, content_type=edition.chapter_type)


def _encode(
    order: EditionOrder, chapter: _Chapter, spoken: Audio, target: BinaryIO, runtime: Runtime
) -> EncodedChapter:
    cover = None if chapter.format == "m4b" else _cover(order, runtime)
    tags = ChapterTags(chapter.source.title, chapter.number, chapter.count, order.metadata, cover)
    try:
        with (
            fetched(spoken.key, runtime.objects, sha256=spoken.sha256) as file,
            tracing.span("encode", {"emotivoice.format": chapter.format}),
        ):
            return encode_chapter(
                file,
                target,
                format=chapter.format,
                loudness=order.loudness,
                sample_rate=chapter.sample_rate,
                tags=tags,
            )
    except AudioMissing:
        speak_again(chapter.source, spoken, runtime)
    except UnusableCover as error:
        raise EditionImpossible(str(error)) from error


def _measured(made: EncodedChapter) -> dict[str, float]:
    after = made.after
    return {
        "gain_db": made.gain_db,
        "lufs_before": made.before.integrated_lufs,
        "lufs": after.integrated_lufs,
        "rms_db": after.rms_db,
        "peak_db": after.peak_db,
        "noise_floor_db": after.noise_floor_db,
        "slot_samples": made.slot_samples,
    }


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
    content_type, extension = EDITION_FORMATS[order.format]
    key = audio_key(address, extension=extension)
    if audio := claims.find(address, key):
        return audio
    with tempfile.TemporaryFile() as file:
        with tracing.span("assemble", {"emotivoice.format": order.format}):
            _write(order, encoded, file, claims)
        claims.lease.check()
        claims.storing()
        rate, seconds = next(iter(encoded.values())).sample_rate, sum(audio.seconds for audio in encoded.values())
        audio = Audio(address, key, 0, seconds, rate, order.format, "", warnings=_warnings(order, encoded))
        return stored(file, audio, claims.runtime.objects, content_type=content_type)


def _write(order: EditionOrder, encoded: dict[str, Audio], file: BinaryIO, claims: Claims) -> None:
    cover = _cover(order, claims.runtime)
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


def _cover(order: EditionOrder, runtime: Runtime) -> Cover | None:
    if not order.cover_sha256:
        return None
    with fetched(order.cover_key, runtime.objects, sha256=order.cover_sha256) as file:
        return Cover(file.read(), order.cover_type)


def _warnings(order: EditionOrder, encoded: dict[str, Audio]) -> tuple[str, ...]:
    """Return what does not keep the loudness that was asked for, by chapter."""
    return tuple(
        f"{chapter.title or number}: {warning}"
        for number, (chapter, audio) in enumerate(zip(order.chapters, encoded.values(), strict=True), 1)
        for warning in audio.warnings
    )
