"""What every failure is: a code that never changes, and a sentence."""

from collections.abc import Iterable
from difflib import get_close_matches


class JobError(Exception):
    """A failure with a stable `code` and a sentence that says what was found and what is allowed."""

    code = "internal_error"
    retryable = False  # whether another attempt could end differently


class UnknownName(JobError):
    """A name is not among the ones we have; the nearest of them, and of the other names for them, are offered."""

    kind = ""

    def __init__(self, name: str, known: Iterable[str], *, names: Iterable[str] = ()) -> None:
        self.allowed = tuple(known)
        self.nearest = tuple(get_close_matches(name, [*self.allowed, *names], n=3, cutoff=0.4))
        hint = f"; nearest: {', '.join(self.nearest)}" if self.nearest else ""
        super().__init__(f"there is no {self.kind} {name!r}{hint}; there are {len(self.allowed)} {self.kind}s")
