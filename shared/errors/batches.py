"""Failures of batches and their lines."""

from collections.abc import Iterable

from shared.errors.base import JobError


class BatchNotFound(JobError):
    """There is no such batch, or it has been deleted."""

    code = "batch_not_found"

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"there is no batch {batch_id!r}; it may have been deleted or have expired")


class BatchNotOver(JobError):
    """What was asked of the batch is for one that is over."""

    code = "batch_not_over"

    def __init__(self, state: str) -> None:
        super().__init__(f"the batch is {state}; wait until it is over, or cancel it")
        self.state = state


class BatchIsOver(JobError):
    """There is nothing left of the batch to cancel."""

    code = "batch_is_over"

    def __init__(self, state: str) -> None:
        super().__init__(f"the batch is {state}: there is nothing to cancel")
        self.state = state


class BatchConflict(JobError):
    """The key was used for another batch."""

    code = "idempotency_conflict"

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"this Idempotency-Key already belongs to batch {batch_id}, made from another file or options")


class EmptyBatch(JobError):
    """The file has no lines."""

    code = "empty_batch"

    def __init__(self) -> None:
        super().__init__('the batch has no lines; send JSON Lines: one JSON object a line, such as {"text": "Hello"}')


class TooManyLines(JobError):
    """The file has more lines than a batch may."""

    code = "too_many_lines"

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"the batch has more than {limit} lines, which is the limit; send several batches")
        self.limit = limit


class InvalidBatchOptions(JobError):
    """The options of a batch are no options, or are given in two places."""

    code = "invalid_batch_options"

    def __init__(self, why: str) -> None:
        super().__init__(f"the batch's options can't be taken: {why}")


class InvalidTemplate(JobError):
    """The template can't be filled."""

    code = "invalid_template"

    def __init__(self, why: str) -> None:
        super().__init__(f"the template can't be used: {why}")


class InvalidLine(JobError):
    """The line of a batch is none."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


class LineTooLong(JobError):
    """The line of a batch is longer than any valid one could be."""

    code = "line_too_long"

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"the line is over {limit} bytes, which is the limit")


class MissingVariable(JobError):
    """The line does not say all that the template has."""

    code = "missing_variable"

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(f"the template has {', '.join(names)}, which the line's variables don't say")


class UnknownVariable(JobError):
    """The line has a variable that nothing in the template stands for."""

    code = "unknown_variable"

    def __init__(self, names: Iterable[str], known: Iterable[str]) -> None:
        self.allowed = tuple(known)
        has = f"it has {', '.join(self.allowed)}" if self.allowed else "it has none"
        super().__init__(f"no {', '.join(names)} stands in what is to be filled; {has}")


class TextTwice(JobError):
    """The line has a text of its own and variables for the template."""

    code = "text_twice"

    def __init__(self) -> None:
        super().__init__("the line has both text and variables; the template is spoken where there is no text")
