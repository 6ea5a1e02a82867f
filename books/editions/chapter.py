"""One chapter: brought to the loudness that was asked for, encoded, and measured before and after."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import BinaryIO

from audio.encoding import Encoder, NotAudio, decoded
from audio.loudness import LoudnessMeter, Measured
from audio.mastering import TARGETS, Target, mastered
from audio.tags import Cover, Tags
from audio.waveform import Samples
from books.editions.forms import EDITIONS
from books.editions.tagging import chapter_tags

AAC_FRAME = 1024  # samples
MPEG_1 = 32_000  # Hz: from here on, MP3 has more than 160 kbit/s


@dataclass(frozen=True)
class ChapterTags:
    """What a chapter's file says about itself. An M4B's chapters say nothing: the whole does."""

    title: str
    number: int  # from 1
    count: int
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])  # the book's: title, author, narrator, year, …
    cover: Cover | None = None


@dataclass(frozen=True)
class EncodedChapter:
    """What `encode_chapter` did."""

    seconds: float  # of the source, exact
    slot_samples: int  # what it takes up in the whole, at `sample_rate`: an M4B holds whole frames
    sample_rate: int
    gain_db: float
    before: Measured
    after: Measured  # what went into the codec
    warnings: tuple[str, ...]  # a sentence for each bound of the target that it doesn't keep

    @property
    def slot(self) -> tuple[int, int]:
        """How many samples it takes up in the whole, and their rate."""
        return self.slot_samples, self.sample_rate


def encode_chapter(  # noqa: PLR0913 - what is wished of one edition
    source: BinaryIO, target: BinaryIO, *, format: str, loudness: str, sample_rate: int, tags: ChapterTags
) -> EncodedChapter:
    """Write a chapter for one of EDITIONS, at the loudness of one of audio.mastering.TARGETS.

    The source is read twice, from its start, and may be of any length: it is never held as samples. An M4B's chapter
    is an M4A.

    Raises:
        NotAudio: the source is not audio, or damaged, or has no samples.
    """
    before, rate = _measured(source)
    target_level = TARGETS[loudness]
    gain_db = target_level.gain_db(before) if target_level else 0.0
    after = LoudnessMeter(rate)
    form = EDITIONS[format].audio_format
    with Encoder(
        target,
        format=form,
        source_rate=rate,
        sample_rate=sample_rate,
        tags=_tags(format, tags),
        bit_rate=_bit_rate(form, sample_rate, target_level),
    ) as encoder:
        for samples in _levelled(source, target_level, gain_db):
            after.push(samples)
            encoder.write(samples)
    heard = after.result()
    return EncodedChapter(
        seconds=before.seconds,
        slot_samples=_slot(format, encoder.samples),
        sample_rate=sample_rate,
        gain_db=gain_db,
        before=before,
        after=heard,
        warnings=target_level.misses(heard) if target_level else (),
    )


def _measured(source: BinaryIO) -> tuple[Measured, int]:
    source.seek(0)
    meter: LoudnessMeter | None = None
    rate = 0
    for piece in decoded(source):
        rate = piece.sample_rate
        meter = meter or LoudnessMeter(rate)
        meter.push(piece.samples)
    if not meter:
        raise NotAudio("the chapter has no sound in it, not even silence")
    return meter.result(), rate


def _levelled(source: BinaryIO, target: Target | None, gain_db: float) -> Iterator[Samples]:
    source.seek(0)
    pieces = decoded(source)
    return mastered(pieces, target, gain_db=gain_db) if target else (piece.samples for piece in pieces)


def _bit_rate(form: str, sample_rate: int, target: Target | None) -> int | None:
    return target.mp3_bit_rate if target and form == "mp3" and sample_rate >= MPEG_1 else None


def _tags(format: str, tags: ChapterTags) -> Tags:
    if format == "m4b":  # the whole has them
        return Tags()
    return Tags(chapter_tags(tags.title, tags.number, tags.count, tags.metadata), tags.cover)


def _slot(format: str, samples: int) -> int:
    """How many samples a chapter is in the whole: in an M4B its frames, and the one by which AAC is late."""
    return (-(-samples // AAC_FRAME) + 1) * AAC_FRAME if format == "m4b" else samples


def chapter_starts(slots: Sequence[tuple[int, int]]) -> list[float]:
    """Return where the sound of each chapter begins in the whole, in seconds.

    Args:
        slots: of each chapter, as EncodedChapter has it.
    """
    ends = accumulate(samples for samples, _ in slots)
    return [(end - samples) / sample_rate for end, (samples, sample_rate) in zip(ends, slots, strict=True)]
