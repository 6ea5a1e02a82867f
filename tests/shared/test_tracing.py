"""Spans: what is their parent, what is in them, and that there are none by default."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest
from pydantic import ValidationError

from shared import settings as settings_module
from shared import tracing
from shared.errors import AudioMissing
from shared.logging import trace_id
from shared.settings import SharedSettings
from tests.collector import CollectedSpan, Collector

SUBMITTER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SENDER = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"
STRANGER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

OFF = """
import sys
import gateway.main, sweeper.main, worker.app
from shared import tracing
from shared.settings import SharedSettings

tracing.start(SharedSettings(), "gateway")
with tracing.processing("tts.bulk", "1:0", sender="", submitter="") as work, tracing.span("encode", {}):
    assert work.traceparent == tracing.current().traceparent == ""
# The API alone comes with FastAPI, and Redis's client looks whether the SDK has metrics.
loaded = [name for name in sys.modules if name.startswith(("opentelemetry.sdk.trace", "opentelemetry.exporter"))]
assert not loaded + [name for name in sys.modules if name == "shared.otlp"], loaded
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Traces are on."""
    with Collector() as listening:
        tracing.start(SharedSettings(otlp_endpoint=listening.url), "worker")
        yield listening
        tracing.stop()


def sent(collector: Collector) -> list[CollectedSpan]:
    """End the traces; return all that arrived."""
    tracing.stop()
    return collector.spans


def work(*, sender: str = SENDER, submitter: str = SUBMITTER) -> AbstractContextManager[tracing.Span]:
    return tracing.processing("tts.bulk", "job:0", sender=sender, submitter=submitter)


def test_by_default_there_are_no_traces_and_nothing_of_them_is_loaded() -> None:
    subprocess.run([sys.executable, "-c", OFF], check=True, timeout=60)


@pytest.mark.parametrize(
    ("sender", "submitter", "parent", "link"),
    [
        (SENDER, SUBMITTER, SENDER, None),
        ("", SUBMITTER, SUBMITTER, None),  # as the sweeper sends it again
        (STRANGER, SUBMITTER, SUBMITTER, STRANGER),  # as a repeated request enqueues it
        (SENDER, "", SENDER, None),
        ("nonsense", SUBMITTER, SUBMITTER, None),
    ],
)
def test_work_goes_on_from_the_message_unless_that_came_in_another_trace(
    collector: Collector, sender: str, submitter: str, parent: str, link: str | None
) -> None:
    with work(sender=sender, submitter=submitter):
        pass

    (span,) = sent(collector)
    assert f"00-{span.trace_id}-{span.parent_id}-01" == parent
    assert span.links == ((link.split("-")[1],) if link else ())


def test_work_for_which_nobody_traced_the_request_begins_a_trace(collector: Collector) -> None:
    with work(sender="", submitter=""):
        pass

    (span,) = sent(collector)
    assert (span.name, span.parent_id) == ("process tts.bulk", "")


def test_parts_belong_to_the_work_around_them_and_a_message_takes_its_own_span_along(collector: Collector) -> None:
    with work() as outer, tracing.publishing("tts.assembly", "job:join") as message:
        assert message.traceparent != outer.traceparent == tracing.current().traceparent

    by_name = {span.name: span for span in sent(collector)}
    publish = by_name["publish tts.assembly"]
    assert (publish.kind, publish.parent_id) == ("producer", by_name["process tts.bulk"].span_id)
    assert publish.attributes["messaging.message.id"] == "job:join"
    assert message.traceparent.split("-")[2] == publish.span_id


def test_outside_of_a_request_or_a_message_there_is_no_span(collector: Collector) -> None:
    with tracing.calling_s3("HeadObject", "bucket", "key") as call:
        call.note({"emotivoice.anything": 1})
        call.failed("storage_unavailable")

    assert call.traceparent == ""
    assert sent(collector) == []


def test_a_span_that_is_not_to_be_recorded_takes_its_parts_and_its_messages_with_it(collector: Collector) -> None:
    with work(sender=SENDER[:-1] + "0"), tracing.publishing("tts.assembly", "job:join") as message:
        assert message.traceparent.endswith("-00")

    assert sent(collector) == []


def test_an_error_is_told_by_its_kind_alone(collector: Collector) -> None:
    with pytest.raises(AudioMissing), work(), tracing.calling_s3("GetObject", "bucket", "a secret"):
        raise AudioMissing("a secret")

    spans = sent(collector)
    assert [(span.failed, span.attributes["error.type"], span.said) for span in spans] == [
        (True, AudioMissing.code, "[]")
    ] * 2


def test_a_reader_who_leaves_early_has_not_failed(collector: Collector) -> None:
    def read() -> Iterator[bytes]:
        with tracing.calling_s3("GetObject", "bucket", "key"):
            yield b"much"
            yield b"more"

    with work():
        chunks = read()
        next(chunks)
        del chunks

    assert not any(span.failed for span in sent(collector))


def test_log_lines_have_the_trace_while_there_is_one(collector: Collector) -> None:
    with work():
        assert trace_id.get() == SUBMITTER.split("-")[1]
    assert trace_id.get() == ""


def test_a_collector_that_never_answers_does_not_keep_a_process_from_ending() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        tracing.start(SharedSettings(otlp_endpoint=f"http://127.0.0.1:{deaf.getsockname()[1]}"), "worker")
        with work():
            pass
        began = time.monotonic()
        tracing.stop()
        assert time.monotonic() - began < 5


def test_a_collector_s_address_has_to_be_one() -> None:
    with pytest.raises(ValidationError, match="begins with http"):
        SharedSettings(otlp_endpoint="collector:4318")


def test_without_the_package_a_process_says_at_its_start_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> None:
        return None

    monkeypatch.setattr(settings_module, "find_spec", absent)
    SharedSettings()
    with pytest.raises(ValidationError, match=r"emotivoice-fleet\[tracing\]"):
        SharedSettings(otlp_endpoint="http://collector:4318")
