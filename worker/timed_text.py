"""Subtitles of a book, and an EPUB that is read aloud: what was spoken, and when each sentence of it is heard."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import BinaryIO

from audio.tags import Cover
from books.editions import chapter_starts
from books.editions.overlay import SpokenChapter, write_overlay
from books.editions.subtitles import Cue, shifted, srt, vtt
from shared import edition_order
from shared.edition_order import EditionOrder
from shared.jobs import Audio
from worker.runtime import Runtime
from worker.spoken_chapters import audio_of

SUBTITLES = {"srt": srt, "vtt": vtt}

Paragraphs = list[list[Cue]]  # of a chapter: the sentences of each


def write_timed_text(  # noqa: PLR0913 - what an edition is made of
    order: EditionOrder,
    encoded: Sequence[Audio],
    opened: Sequence[Callable[[], AbstractContextManager[BinaryIO]]],
    target: BinaryIO,
    *,
    cover: Cover | None,
    runtime: Runtime,
) -> None:
    """Write one of SUBTITLES, on the time of the whole M4B, or the EPUB, each chapter of which has its own audio.

    Args:
        encoded, opened: the chapters as an M4B has them, and their files.
    """
    chapters = [paragraphs(chapter, runtime) for chapter in order.chapters]
    if order.format in SUBTITLES:
        slots = [(int(audio.measured["slot_samples"]), audio.sample_rate) for audio in encoded]
        cues = (
            cue
            for begins, chapter in zip(chapter_starts(slots), chapters, strict=True)
            for paragraph in chapter
            for cue in shifted(paragraph, begins)
        )
        target.write(SUBTITLES[order.format](cues).encode())
        return
    spoken = [
        SpokenChapter(chapter.title, texts or _title_only(chapter.title, audio), open)
        for chapter, texts, audio, open in zip(order.chapters, chapters, encoded, opened, strict=True)
    ]
    write_overlay(spoken, target, format="m4b", metadata=order.metadata, cover=cover)


def paragraphs(chapter: edition_order.SpokenChapter, runtime: Runtime) -> Paragraphs:
    """Return the sentences of a chapter by paragraph; those that have no sound are left out."""
    left = iter(audio_of(chapter, runtime).parts)
    found = [
        [
            Cue(start, end, part.written or part.text)
            for part, (start, end) in zip(segment.parts, islice(left, len(segment.parts)), strict=True)
        ]
        for segment in runtime.jobs.segments(chapter.job)
    ]
    heard = ([cue for cue in paragraph if cue.end_seconds > cue.start_seconds] for paragraph in found)
    return [paragraph for paragraph in heard if paragraph]


def _title_only(title: str, audio: Audio) -> Paragraphs:
    """Return what stands for a chapter in which no sentence is timed, such as one that is only a scene break."""
    return [[Cue(0.0, audio.seconds, title)]]
