"""Traces by OpenTelemetry, which is imported only where EMOTIVOICE_OTLP_ENDPOINT says where to send them.

A trace begins with a request to the gateway, and a job takes it along: in its record, so that whatever is done for the
job stays in the trace of the request that submitted it, and in the headers of its messages. No span has a text in it.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from shared.settings import SharedSettings

if TYPE_CHECKING:
    from shared.otlp import Tracer

HEADER = "traceparent"  # of W3C Trace Context

Attributes = Mapping[str, str | int | float | bool]


class Span(Protocol):
    """A part of a trace, while it lasts."""

    @property
    def traceparent(self) -> str:
        """How another process goes on from here; empty where there is no trace."""
        ...

    def note(self, attributes: Attributes) -> None: ...

    def failed(self, kind: str) -> None:
        """It ended badly: `kind` is a failure's code or the name of an exception, never its message."""
        ...


class _NoSpan:
    """What there is to note in where nothing is traced."""

    traceparent = ""

    def note(self, attributes: Attributes) -> None:
        pass

    def failed(self, kind: str) -> None:
        pass


_NOTHING = _NoSpan()
_UNTRACED: AbstractContextManager[Span] = nullcontext(_NOTHING)
_tracer: "Tracer | None" = None


def start(settings: SharedSettings, part: str) -> None:
    """Trace this process from now on if the settings say so. Not before a fork: it starts a thread."""
    global _tracer  # noqa: PLW0603 - as logging is: of the process, and reached from everywhere
    if settings.otlp_endpoint:
        from shared.otlp import Tracer

        system = "rabbitmq" if settings.broker_url.get_secret_value().startswith("amqp") else "redis"
        _tracer = Tracer(settings.otlp_endpoint, service=f"emotivoice-{part}", messaging_system=system)


def stop() -> None:
    """Send what is left, for a few seconds at most, and trace no more."""
    global _tracer
    tracer, _tracer = _tracer, None
    if tracer:
        tracer.stop()


def provider() -> Any:
    """Return OpenTelemetry's TracerProvider, for a library that makes spans itself; None while nothing is traced."""
    return _tracer.provider if _tracer else None


def current() -> Span:
    """Return the span of the request or message that is worked on."""
    return _tracer.current() if _tracer else _NOTHING


def span(name: str, attributes: Attributes) -> AbstractContextManager[Span]:
    """A part of the request or message that is worked on; nothing where there is none."""
    return _tracer.span(name, attributes) if _tracer else _UNTRACED


def calling_s3(operation: str, bucket: str, key: str) -> AbstractContextManager[Span]:
    """A call of the object store, by its name in the API of S3."""
    return _tracer.calling_s3(operation, bucket, key) if _tracer else _UNTRACED


def publishing(queue: str, message: str) -> AbstractContextManager[Span]:
    """The sending of a message, which is to take the span's `traceparent` along."""
    return _tracer.publishing(queue, message) if _tracer else _UNTRACED


def processing(queue: str, message: str, *, sender: str, submitter: str) -> AbstractContextManager[Span]:
    """The work on a message, until the end of the context the current span of its thread.

    Args:
        sender: the traceparent that came with the message.
        submitter: that of the job. If the message came in another trace, such as that of a request that was repeated,
            the work still belongs to this one.
    """
    return _tracer.processing(queue, message, sender=sender, submitter=submitter) if _tracer else _UNTRACED
