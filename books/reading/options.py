"""What a reader may wish, and what a book may cost."""

from dataclasses import dataclass

from sandbox import MIB, Bounds


@dataclass(frozen=True)
class ReadingOptions:
    """What is read besides the running text. What is not read is counted in the notes."""

    footnotes: bool = False
    """Read a footnote in brackets at the place that refers to it."""
    tables: bool = True
    """Read tables row by row."""
    image_descriptions: bool = False
    """Read what images have as alternative text."""


@dataclass(frozen=True)
class Limits:
    """The most that a book may have, and that its reading may take."""

    file_bytes: int = 100_000_000
    characters: int = 20_000_000
    """Of text. The longest novels have about 10 million."""
    chapters: int = 2_000
    pages: int = 10_000
    """Of a PDF."""
    cover_bytes: int = 10 * MIB
    archive_entries: int = 10_000
    unpacked_bytes: int = 400 * MIB
    """Of a whole archive."""
    document_bytes: int = 32 * MIB
    """Of one document in an archive, unpacked."""
    unpacked_ratio: int = 200
    """Prose shrinks to a third or a tenth; a zip bomb to a thousandth."""
    memory_bytes: int = 1024 * MIB
    cpu_seconds: int = 120
    wall_seconds: int = 180

    @property
    def bounds(self) -> Bounds:
        """Of the process that reads it."""
        return Bounds(self.memory_bytes, self.cpu_seconds, self.wall_seconds)
