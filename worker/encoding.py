"""Encode a spoken chapter as an edition has it: as a segment of the edition's job, or ahead, while others are spoken.

Both make the same audio at the same address, so an edition finds what was encoded ahead.
"""

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, BinaryIO

from audio.tags import Cover, UnusableCover
from books.editions import EDITIONS, ChapterTags, EncodedChapter, encode_chapter
from shared import jobs as lifecycle
from shared import tracing
from shared.audio_address import audio_key
from shared.audio_formats import FORMATS
from shared.books import Wanted, fingerprint
from shared.edition_order import EditionOrder, SpokenChapter, chapter_format, load_order
from shared.errors import AudioMissing, EditionImpossible
from shared.jobs import Audio, Job, Outcome, SpeechRequest
from worker.attempt import enqueue_next
from worker.claims import Claims
from worker.files import fetched, stored
from worker.lease import Lease, StepLost
from worker.rendering import stores
from worker.runtime import Runtime
from worker.spoken_chapters import audio_of, speak_again

ENCODING = "1"  # another one, and no chapter or edition that was made before is found
ACX_SAMPLE_RATE = 44_100  # what Audible takes


@dataclass(frozen=True)
class _Chapter:
    """A chapter, and how it is encoded."""

    number: int
    source: SpokenChapter
    format: str
    sample_rate: int
    count: int


def plans_of(order: EditionOrder, *, source_rate: int) -> list[str]:
    """Return for each chapter what the segment that encodes it has to know, as JSON.

    Args:
        source_rate: the highest of the chapters' audio: an edition has one sample rate.
    """
    return [json.dumps(asdict(one), ensure_ascii=False) for one in _chapters(order, source_rate=source_rate)]


def _chapters(order: EditionOrder, *, source_rate: int) -> list[_Chapter]:
    format = chapter_format(order.format)
    offered = FORMATS[EDITIONS[format].audio_format].sample_rates
    rate = _rate(source_rate, offered, acx=order.loudness == "acx")
    count = order.count or len(order.chapters)
    return [_Chapter(number, one, format, rate, count) for number, one in enumerate(order.chapters, order.first)]


def _rate(source: int, offered: Sequence[int], *, acx: bool) -> int:
    """Return the format's nearest sample rate that loses nothing."""
    wanted = max(source, ACX_SAMPLE_RATE) if acx else source
    return min((rate for rate in offered if rate >= wanted), default=max(offered))


def encode_for_edition(request: SpeechRequest, lease: Lease, runtime: Runtime) -> None:
    """Encode the chapter of an edition's segment, unless that was done before, store it, and finish the step.

    Raises:
        StepLost: the job was cancelled or has ended, or another worker has the step.
        NotYet: the chapter's audio was lost, and is joined again; or another worker encodes it just now.
        AudioMissing: it was lost again and again.
        EditionImpossible: the cover is no picture.
    """
    job, step = lease.started
    chapter = _load_chapter(runtime.jobs.segment(job.id, step.name).text)
    after = _finish(load_order(request), chapter, audio_of(chapter.source, runtime), lease, runtime)
    if after.segments_done == after.segments_total:
        enqueue_next(after, runtime)


def encode_ahead(request: SpeechRequest, lease: Lease, runtime: Runtime) -> None:
    """Encode the chapter of a job of its own, unless its book is not wanted any more: then nobody needs it.

    Raises what `encode_for_edition` does.
    """
    job, _ = lease.started
    books, children = stores(runtime)
    book = books.get(job.parent)
    if book is None or book.wanted is not Wanted.RENDER:  # it was paused, or deleted, while the job was made
        children.cancel(job.id)
        raise StepLost(Outcome.JOB_FINISHED)
    order = load_order(request)
    spoken = audio_of(order.chapters[0], runtime)
    (chapter,) = _chapters(order, source_rate=spoken.sample_rate)
    _finish(order, chapter, spoken, lease, runtime)


def _finish(order: EditionOrder, chapter: _Chapter, spoken: Audio, lease: Lease, runtime: Runtime) -> Job:
    """Encode the chapter and finish the step; return the job as it is then."""
    job, step = lease.started
    with Claims(lease, runtime) as claims:
        audio = _encoded(order, chapter, spoken, claims)
        change = runtime.jobs.change(
            job.id,
            step.name,
            partial(lifecycle.finish_segment, token=lease.token, now=time.time(), audio=audio, engine_seconds=0.0),
            audio=audio,
            known=lease.started,
        )
        if change is None or change.outcome is not Outcome.APPLIED:
            raise StepLost(change.outcome if change else Outcome.MISSING)
        claims.recorded(audio)
    return change.job


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
        claims.storing(key, voices=spoken.voices)
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
            voices=spoken.voices,
        )
        return stored(file, audio, runtime.objects, content_type=edition.chapter_type)


def _encode(
    order: EditionOrder, chapter: _Chapter, spoken: Audio, target: BinaryIO, runtime: Runtime
) -> EncodedChapter:
    cover = None if chapter.format == "m4b" else cover_of(order, runtime)
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


def cover_of(order: EditionOrder, runtime: Runtime) -> Cover | None:
    if not order.cover_sha256:
        return None
    with fetched(order.cover_key, runtime.objects, sha256=order.cover_sha256) as file:
        return Cover(file.read(), order.cover_type)
