"""Why a book could not be read. Each sentence is for the one who sent the file."""


class UnreadableBook(Exception):
    """The file is no book that can be read."""

    code = "book_unreadable"


class UnknownKind(UnreadableBook):
    """The file is none of the kinds of books."""

    code = "book_kind_unknown"


class BrokenBook(UnreadableBook):
    """The file is damaged, or is not what it says it is."""

    code = "book_broken"


class EncryptedBook(UnreadableBook):
    """The file is protected by a password or by digital rights management."""

    code = "book_encrypted"


class UnsafeBook(UnreadableBook):
    """The file does what only a hostile file does."""

    code = "book_unsafe"


class BookTooLarge(UnreadableBook):
    """The file, or what is in it, is more than is allowed."""

    code = "book_too_large"


class NoText(UnreadableBook):
    """There is nothing to speak in the file."""

    code = "book_without_text"


KINDS = (UnreadableBook, UnknownKind, BrokenBook, EncryptedBook, UnsafeBook, BookTooLarge, NoText)
