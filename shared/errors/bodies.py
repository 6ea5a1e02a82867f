"""Failures of what a request brings: its body, a form, a file."""

from collections.abc import Iterable

from shared.errors.base import JobError


class BodyTooLarge(JobError):
    """The request is bigger than any valid one could be."""

    code = "body_too_large"

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"the request body is over {limit} bytes, which is the limit")
        self.limit = limit


class BodyTooSlow(JobError):
    """The client does not send the body that it has begun."""

    code = "body_too_slow"

    def __init__(self, *, seconds: float) -> None:
        super().__init__(f"the request body has not come within {seconds:g} s, and a second more for each 64 KiB of it")


class InvalidForm(JobError):
    """The multipart body is not one that can be read."""

    code = "invalid_form"

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}; send multipart/form-data with the part `file`, and `options` as JSON if you like")


class FileTooLarge(JobError):
    """The file is larger than a file may be."""

    code = "file_too_large"

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"the file is over {limit} bytes, which is the limit")
        self.limit = limit


class UnknownUpload(JobError):
    """There is no file of the tenant's by that key."""

    code = "unknown_upload"

    def __init__(self, key: str) -> None:
        super().__init__(f"there is no upload {key!r}; ask POST /v1/uploads for a link, and PUT the file there first")


class EmptyFile(JobError):
    """The file has nothing in it."""

    code = "empty_file"

    def __init__(self) -> None:
        super().__init__("the file is empty")


class UnsupportedBody(JobError):
    """The body is of a type that is not taken here."""

    code = "unsupported_media_type"

    def __init__(self, content_type: str, allowed: Iterable[str]) -> None:
        self.allowed = tuple(allowed)
        super().__init__(f"Content-Type is {content_type[:100]!r}; send one of {', '.join(self.allowed)}")
