"""Failures of books."""

from collections.abc import Iterable

from shared.errors.base import JobError, UnknownName


class UnreadableBook(JobError):
    """The file is no book that can be read; the sentence says why."""

    code = "unreadable_book"


class EditionImpossible(JobError):
    """The chapters or the cover can't be put together in this format; the sentence says why."""

    code = "edition_impossible"


class BookNotFound(JobError):
    """There is no such book, or no longer."""

    code = "book_not_found"

    def __init__(self, book_id: str) -> None:
        super().__init__(f"there is no book {book_id!r}; it may have been deleted or have expired")


class BookConflict(JobError):
    """The book is not in a state in which this can be done."""

    code = "book_conflict"

    def __init__(self, doing: str, state: str, *, allowed: Iterable[str]) -> None:
        self.state = state
        self.allowed = tuple(allowed)
        super().__init__(f"the book is {state}; {doing} is possible while it is {' or '.join(self.allowed)}")


class ChapterNotFound(JobError):
    """The book has no such chapter."""

    code = "chapter_not_found"

    def __init__(self, chapter_id: str) -> None:
        super().__init__(f"the book has no chapter {chapter_id!r}")


class UnknownChapter(UnknownName):
    """A chapter that is to be changed is none of the book's."""

    code = "unknown_chapter"
    kind = "chapter"


class InvalidOrder(JobError):
    """The chapters' new order leaves one out, or has one twice."""

    code = "invalid_order"

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"`order` has to have each of the book's {limit} chapters once")
        self.limit = limit


class NothingIncluded(JobError):
    """No chapter of the book is to be spoken."""

    code = "nothing_included"

    def __init__(self) -> None:
        super().__init__("no chapter of the book is included; include at least one")


class ChapterTooLong(JobError):
    """A chapter would last longer than one worker can put it together."""

    code = "chapter_too_long"

    def __init__(self, chapter: str, hours: float, *, limit: float) -> None:
        super().__init__(
            f"chapter {chapter} would last {hours:.0f} hours; a chapter may last {limit:.0f}: leave it out, or send "
            "the book with headings that divide it"
        )


class InvalidCover(JobError):
    """The file is no picture that can be a cover."""

    code = "invalid_cover"

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}; a cover is a JPEG or PNG file")


class EditionNotFound(JobError):
    """The book has no edition in that format."""

    code = "edition_not_found"

    def __init__(self, format: str, allowed: Iterable[str]) -> None:
        self.allowed = tuple(allowed)
        there = f"there is {', '.join(self.allowed)}" if self.allowed else "none was made yet"
        super().__init__(f"the book has no edition {format!r}; {there}")


class BookUnread(JobError):
    """The book's file could not be read, so nothing can be done with it."""

    code = "book_unread"

    def __init__(self, why: str) -> None:
        super().__init__(f"the book's file could not be read: {why}")
