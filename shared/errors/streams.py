"""Failures of text that comes while it is written."""

from shared.errors.base import JobError


class InvalidMessage(JobError):
    """A message of a stream is none that is known, or not one of those that may come now."""

    code = "invalid_message"


class StreamIdle(JobError):
    """Nobody wrote into a stream, and there was nothing left to speak."""

    code = "stream_idle"

    def __init__(self, *, seconds: float) -> None:
        super().__init__(f"no message came for {seconds:g} s, and everything was spoken")


class ReaderTooSlow(JobError):
    """Whoever listens to a stream takes nothing of what is sent."""

    code = "reader_too_slow"

    def __init__(self, *, seconds: float) -> None:
        super().__init__(f"nothing of the audio was taken for {seconds:g} s")


class TooManyStreams(JobError):
    """The tenant has as many streams open as it may have."""

    code = "too_many_streams"
    retry_after_seconds = 5.0

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"there are {limit} streams open at this gateway; a tenant may have {limit}")
        self.limit = limit
