"""What a book file says, once it has been read: metadata, and chapters of marked text."""

from dataclasses import dataclass, field

COVER_TYPES = ("image/jpeg", "image/png")


@dataclass(frozen=True)
class ReadChapter:
    """A chapter. Its text is marked text (`books.marked`), and has the chapter's heading where the book has one."""

    title: str
    text: str


@dataclass(frozen=True)
class Manuscript:
    """A whole book in the order in which it is read."""

    metadata: dict[str, str] = field(default_factory=dict[str, str])
    """What is known of: title, author, language (BCP 47), publisher, year, description, identifier, subject."""
    chapters: tuple[ReadChapter, ...] = ()
    cover: bytes = b""
    cover_type: str = ""
    """One of COVER_TYPES, or empty where there is no cover."""
    notes: tuple[str, ...] = ()
    """What was left out, changed or guessed, a sentence each."""
