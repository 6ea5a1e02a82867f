"""OpenTelemetry's SDK, set up for shared/tracing.py: the only module that imports it."""

import logging
import os
import threading
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_SERVICE_NAME
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.errors import JobError
from shared.logging import trace_id
from shared.tracing import HEADER, Attributes, Span

log = logging.getLogger(__name__)

TRACES_PATH = "/v1/traces"  # of OTLP over HTTP
STOP_SECONDS = 3.0  # for what is left to be sent when a process ends

_NOWHERE = trace.INVALID_SPAN


class Tracer:
    """Makes the spans of this process, and sends them in the background. What can't be sent is lost, and nothing else.

    OpenTelemetry's own variables set the rest: OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES, OTEL_BSP_...
    """

    def __init__(self, endpoint: str, *, service: str, messaging_system: str) -> None:
        for storming in ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal"):  # with each batch
            logging.getLogger(storming).setLevel(logging.CRITICAL)
        exporter = OTLPSpanExporter(endpoint.rstrip("/") + TRACES_PATH)
        resource = Resource.create({SERVICE_NAME: os.environ.get(OTEL_SERVICE_NAME) or service})
        self.provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self.provider.add_span_processor(BatchSpanProcessor(_TellsOnce(exporter, endpoint)))
        self._tracer = self.provider.get_tracer("emotivoice")
        self._system = messaging_system

    def stop(self) -> None:
        stopping = threading.Thread(target=self.provider.shutdown, name="last spans", daemon=True)
        stopping.start()
        stopping.join(STOP_SECONDS)  # with a collector that is away it would take longer

    def current(self) -> Span:
        return _Span(trace.get_current_span())

    def span(
        self, name: str, attributes: Attributes, kind: SpanKind = SpanKind.INTERNAL
    ) -> AbstractContextManager[Span]:
        if not trace.get_current_span().get_span_context().is_valid:
            return nullcontext(_Span(_NOWHERE))
        return self._ended(self._tracer.start_span(name, kind=kind, attributes=attributes))

    def calling_s3(self, operation: str, bucket: str, key: str) -> AbstractContextManager[Span]:
        attributes = {"rpc.system": "aws-api", "rpc.service": "S3", "rpc.method": operation, "aws.s3.bucket": bucket}
        return self.span(f"S3.{operation}", {**attributes, "aws.s3.key": key}, SpanKind.CLIENT)

    def publishing(self, queue: str, message: str) -> AbstractContextManager[Span]:
        return self.span(f"publish {queue}", self._messaging(queue, message, "publish", "send"), SpanKind.PRODUCER)

    @contextmanager
    def processing(self, queue: str, message: str, *, sender: str, submitter: str) -> Generator[Span]:
        parent, links = _parent(_context(sender), _context(submitter))
        span = self._tracer.start_span(
            f"process {queue}",
            parent,
            SpanKind.CONSUMER,
            self._messaging(queue, message, "process", "process"),
            links,
        )
        logged = trace_id.set(_Span(span).trace_id)
        try:
            with (
                trace.use_span(span, record_exception=False, set_status_on_exception=False),
                self._ended(span) as ours,
            ):
                yield ours
        finally:
            trace_id.reset(logged)

    def _messaging(self, queue: str, message: str, name: str, kind: str) -> Attributes:
        return {
            "messaging.system": self._system,
            "messaging.destination.name": queue,
            "messaging.operation.name": name,
            "messaging.operation.type": kind,
            "messaging.message.id": message,
        }

    @staticmethod
    @contextmanager
    def _ended(span: trace.Span) -> Generator[Span]:
        """End the span with the context. Of an error it has the kind: the message may quote a text."""
        ours = _Span(span)
        try:
            yield ours
        except Exception as error:
            ours.failed(error.code if isinstance(error, JobError) else type(error).__name__)
            raise
        finally:
            span.end()


class _Span:
    """A span as shared/tracing.py lets others see it."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        at = self._span.get_span_context()
        return f"00-{at.trace_id:032x}-{at.span_id:016x}-{at.trace_flags:02x}" if at.is_valid else ""

    @property
    def trace_id(self) -> str:
        at = self._span.get_span_context()
        return f"{at.trace_id:032x}" if at.is_valid else ""  # not where OTEL_SDK_DISABLED is set

    def note(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def failed(self, kind: str) -> None:
        self._span.set_attribute("error.type", kind)
        self._span.set_status(StatusCode.ERROR)


def _context(traceparent: str) -> Context:
    return TraceContextTextMapPropagator().extract({HEADER: traceparent}, Context())


def _parent(sender: Context, submitter: Context) -> tuple[Context, list[Link]]:
    """Return what work goes on from, and what else led to it."""
    sent, submitted = _at(sender), _at(submitter)
    if not sent.is_valid or not submitted.is_valid:
        return (sender if sent.is_valid else submitter), []
    return (sender, []) if sent.trace_id == submitted.trace_id else (submitter, [Link(sent)])


def _at(context: Context) -> SpanContext:
    return trace.get_current_span(context).get_span_context()


class _TellsOnce(SpanExporter):
    """Says when spans begin to be lost and when that is over; OpenTelemetry would say it with each batch."""

    def __init__(self, exporter: SpanExporter, endpoint: str) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._losing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        losing = result is not SpanExportResult.SUCCESS
        if losing and not self._losing:
            log.warning("traces are lost: %s does not take them", self._endpoint)
        elif self._losing and not losing:
            log.info("traces arrive again")
        self._losing = losing
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)
