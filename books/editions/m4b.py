"""An M4B from chapters that are M4A: their AAC frames one after another, with an index of the chapters.

A chapter's first frame is the one by which AAC is late: 1024 samples before its sound. It stays, as the silence that
the codec needs between two sounds. So a chapter begins exactly behind it, and takes up whole frames.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, cast

import av

from audio.tags import Cover, Tagging, Tags, storable
from books.editions.chapter import AAC_FRAME
from books.editions.forms import ChapterFile
from books.editions.tagging import whole_tags


class UnlikeChapters(ValueError):
    """The chapters can't be one file: they were not all encoded alike."""


def write_m4b(
    chapters: Sequence[ChapterFile], target: BinaryIO, *, metadata: Mapping[str, str], cover: Cover | None
) -> None:
    """Write the book. The index goes in front, so it is written to a file first and copied."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "book"
        book = _Book(path, Tags(whole_tags(metadata), cover))
        with book.container:
            for chapter in chapters:
                with chapter.open() as source:
                    book.add(chapter.title, source)
            book.container.set_chapters(list(book.chapters()))
        with path.open("rb") as whole:
            shutil.copyfileobj(whole, target, 1 << 20)


class _Book:
    """The file while it is written. Its rate and its codec are those of the first chapter."""

    def __init__(self, path: Path, tags: Tags) -> None:
        options = {"fflags": "+bitexact", "movflags": "+faststart", "brand": "M4B "}
        # Any: what the packets between the two are made of is not in PyAV's stubs.
        self.container = cast(Any, av.open(str(path), "w", format="mp4", options=options))
        self._tags = tags
        self._stream: Any = None
        self._codec: tuple[int, bytes] = (0, b"")
        self._titles: list[str] = []
        self._starts: list[int] = []
        self._frames = 0

    def add(self, title: str, source: BinaryIO) -> None:
        """Add a chapter's frames."""
        self._titles.append(storable(title))
        self._starts.append(self._frames * AAC_FRAME)
        with av.open(source, "r") as container:
            stream = container.streams.audio[0]
            codec = (stream.rate, cast(bytes, stream.codec_context.extradata))
            if self._stream is None:
                self._start(stream, codec)
            if codec != self._codec:
                raise UnlikeChapters(f"chapter {len(self._titles)} isn't encoded as the first is")
            for packet in container.demux(stream):
                if packet.size:  # the last one only says that there are no more
                    self._add(packet)

    def _start(self, template: Any, codec: tuple[int, bytes]) -> None:
        self._codec = codec
        self._stream = self.container.add_stream_from_template(template)
        self.container.options["movie_timescale"] = str(self._rate)  # in which chapters are told: to the sample
        Tagging(self.container, self._tags).start()

    @property
    def _rate(self) -> int:
        return self._codec[0]

    def _add(self, packet: Any) -> None:
        packet.stream = self._stream
        packet.time_base = Fraction(1, self._rate)
        packet.pts = packet.dts = (self._frames - 1) * AAC_FRAME  # the first comes before the beginning
        packet.duration = AAC_FRAME  # what ended in the middle of it ends in silence
        self.container.mux_one(packet)
        self._frames += 1

    def chapters(self) -> Iterator[dict[str, Any]]:
        """Yield the chapters as PyAV takes them: each ends where the next begins."""
        ends = [*self._starts[1:], (self._frames - 1) * AAC_FRAME]
        for number, (title, start, end) in enumerate(zip(self._titles, self._starts, ends, strict=True)):
            base = Fraction(1, self._rate)
            yield {"id": number, "start": start, "end": end, "time_base": base, "metadata": {"title": title}}
