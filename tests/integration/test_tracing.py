"""Traces of the real service, as a collector receives them."""

import json
import os
import signal
from collections.abc import Callable, Iterator

import pytest

from shared.jobs import Lane
from tests.api import children
from tests.collector import CollectedSpan, Collector
from tests.integration.conftest import RunningFleet, running_fleet
from tests.integration.test_batching import batching
from tests.integration.test_delivery import busy
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

OURS = "4bf92f3577b34da6a3ce929d0e0e4736"  # the trace of a client that has one
CLIENT_SPAN = "00f067aa0ba902b7"
SENTENCE = "It goes on and on for quite a while, as long texts do, until somebody joins what was said. "

Node = tuple[str, ...]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as listening:
        yield listening


@pytest.fixture(scope="module")
def traced(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EMOTIVOICE_OTLP_ENDPOINT", collector.url)
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")  # milliseconds, in place of 5000
        with running_fleet(tmp_path_factory.mktemp("traced")) as fleet:
            yield fleet


@pytest.fixture
def fleet(traced: RunningFleet) -> Iterator[RunningFleet]:
    traced.gate.open()
    yield traced
    traced.gate.open()


def submitted(fleet: RunningFleet, text: str, **fields: str) -> tuple[str, str]:
    """Submit a job; return its id and the id of its trace, as the answer names it."""
    answer = fleet.api.post(text, **fields)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"], answer.headers["traceresponse"].split("-")[1]


def paths(spans: list[CollectedSpan]) -> list[Node]:
    """The names from the beginning of the trace to each span, in order of the names."""
    by_id = {span.span_id: span for span in spans}

    def path(span: CollectedSpan) -> Node:
        above = by_id.get(span.parent_id)
        return (*(path(above) if above else ()), span.name)

    return sorted(path(span) for span in spans)


def named(spans: list[CollectedSpan], name: str) -> list[CollectedSpan]:
    return [span for span in spans if span.name == name]


def worked_on(name: str, count: int = 1) -> Callable[[list[CollectedSpan]], bool]:
    """Whether so many messages were, and the request that led to it has ended too."""
    return lambda spans: len(named(spans, name)) == count and bool(named(spans, "POST /v1/jobs"))


def test_a_short_job_is_one_trace_from_the_request_to_the_stored_audio(
    fleet: RunningFleet, collector: Collector
) -> None:
    text = "Nobody should find this sentence in a span."
    job_id, trace_id = submitted(fleet, text)
    assert fleet.api.finished(job_id)["state"] == "succeeded"

    spans = collector.trace(trace_id, until=worked_on("process tts.interactive"))

    begin = ("POST /v1/jobs", "publish tts.interactive", "process tts.interactive")
    assert paths(spans) == [
        begin[:1],
        begin[:2],
        begin,
        *[(*begin, part) for part in ("S3.PutObject", "encode", "synthesize")],
    ]
    (work,) = named(spans, "process tts.interactive")
    assert work.kind == "consumer"
    assert work.service == "emotivoice-worker"
    about = {key.removeprefix("emotivoice."): value for key, value in work.attributes.items()}
    assert about["job_id"] == job_id
    assert (about["step"], about["attempt"], about["outcome"], about["tenant"]) == ("0", 1, "done", "default")
    assert 0 <= about["wait_seconds"] < 10
    assert about["messaging.message.id"] == f"{job_id}:0"
    assert about["messaging.destination.name"] == "tts.interactive"
    (engine,) = named(spans, "synthesize")
    assert engine.attributes["emotivoice.characters"] == len(text)
    assert text not in repr(spans)
    assert collector.paths == {"/v1/traces"}


def test_who_fetches_the_audio_has_a_trace_of_that(fleet: RunningFleet, collector: Collector) -> None:
    job_id = fleet.api.spoken("This is fetched.")["id"]
    answer = fleet.api.http.get(f"/v1/jobs/{job_id}/audio")
    assert answer.status_code == 200
    trace_id = answer.headers["traceresponse"].split("-")[1]

    spans = collector.trace(trace_id, until=lambda found: len(found) == 2)

    assert paths(spans) == [("GET /v1/jobs/{job_id}/audio",), ("GET /v1/jobs/{job_id}/audio", "S3.GetObject")]


def test_a_long_job_is_one_trace_over_all_of_its_steps(fleet: RunningFleet, collector: Collector) -> None:
    text = "\n\n".join(f"Part {number}. {SENTENCE * 6}" for number in range(3))
    job_id, trace_id = submitted(fleet, text, lane="bulk", format="mp3")
    segments = fleet.api.finished(job_id)["progress"]["segments_done"]

    spans = collector.trace(trace_id, until=worked_on("process tts.assembly", 2))

    planned = ("POST /v1/jobs", "publish tts.assembly", "process tts.assembly")
    spoken = (*planned, "publish tts.bulk", "process tts.bulk")
    joined = (*spoken, "publish tts.assembly", "process tts.assembly")
    found = paths(spans)
    assert [found.count(path) for path in (planned, spoken, joined)] == [1, segments, 1]
    assert segments > 1
    assert found.count((*spoken, "S3.PutObject")) == segments
    assert found.count((*joined, "S3.GetObject")) == segments
    assert found.count((*joined, "S3.PutObject")) == 1
    steps = {span.attributes["emotivoice.step"] for span in spans if span.kind == "consumer"}
    assert steps == {"plan", *(str(number) for number in range(segments)), "join"}


def test_a_trace_that_the_client_has_begun_goes_on(fleet: RunningFleet, collector: Collector) -> None:
    fleet.api.http.post(
        "/v1/jobs", json={"text": "I come from afar."}, headers={"traceparent": f"00-{OURS}-{CLIENT_SPAN}-01"}
    )

    spans = collector.trace(OURS, until=worked_on("process tts.interactive"))

    (request,) = named(spans, "POST /v1/jobs")
    assert (request.parent_id, request.service) == (CLIENT_SPAN, "emotivoice-gateway")


def test_a_request_that_is_repeated_leaves_the_work_in_the_first_trace(
    fleet: RunningFleet, collector: Collector
) -> None:
    with fleet.without_worker(Lane.INTERACTIVE):
        worker = fleet.new_worker()
        body, key = {"text": "I was sent twice."}, {"Idempotency-Key": "once-and-again"}
        first, second = (fleet.api.http.post("/v1/jobs", json=body, headers=key) for _ in range(2))
        assert second.headers["Idempotent-Replayed"] == "true"
        worker.process.start()
        assert fleet.api.finished(first.json()["id"])["state"] == "succeeded"
        trace_id, other = (answer.headers["traceresponse"].split("-")[1] for answer in (first, second))

        spans = collector.trace(trace_id, until=worked_on("process tts.interactive", 2))
        worker.process.stop()

    outcomes = {span.attributes["emotivoice.outcome"]: span for span in named(spans, "process tts.interactive")}
    assert outcomes["done"].links == ()
    assert outcomes["job_finished"].links == (other,)


def test_the_attempt_after_a_killed_worker_is_in_the_same_trace(fleet: RunningFleet, collector: Collector) -> None:
    """The killed attempt itself is not: a span is sent when it has ended."""
    fleet.gate.close()
    job_id, trace_id = submitted(fleet, "Please wait until you are killed.")
    wait_for(lambda: busy(fleet.worker_url(Lane.INTERACTIVE)))
    worker = fleet.fleet.workers[Lane.INTERACTIVE]
    (child,) = children(worker.pid)
    os.kill(child, signal.SIGKILL)
    wait_for(lambda: child not in children(worker.pid))
    fleet.gate.open()
    assert fleet.api.finished(job_id)["attempts"] == 2

    spans = collector.trace(trace_id, until=worked_on("process tts.interactive"))

    (work,) = named(spans, "process tts.interactive")
    assert (work.attributes["emotivoice.attempt"], work.attributes["emotivoice.outcome"]) == (2, "done")
    assert paths(spans)[2] == ("POST /v1/jobs", "publish tts.interactive", "process tts.interactive")


def test_an_attempt_that_fails_says_so_without_the_reason_s_words(fleet: RunningFleet, collector: Collector) -> None:
    job_id, trace_id = submitted(fleet, "Please mumble this.")
    assert fleet.api.finished(job_id)["state"] == "failed"

    spans = collector.trace(trace_id, until=worked_on("process tts.interactive"))

    failed = {span.name: span.attributes["error.type"] for span in spans if span.failed}
    assert failed == {"process tts.interactive": "unspeakable_text", "synthesize": "UnspeakableText"}
    assert all(span.said == "[]" for span in spans)


def test_an_attempt_that_is_tried_again_goes_on_from_the_same_message(
    fleet: RunningFleet, collector: Collector
) -> None:
    """Celery sends it again, with its headers."""
    job_id, trace_id = submitted(fleet, "Please say nan.")

    spans = collector.trace(trace_id, until=worked_on("process tts.interactive", 2))
    fleet.api.http.delete(f"/v1/jobs/{job_id}")

    begin = ("POST /v1/jobs", "publish tts.interactive", "process tts.interactive")
    assert paths(spans).count(begin) == 2
    attempts = [(span.attributes["emotivoice.attempt"], span.failed) for span in named(spans, begin[-1])]
    assert attempts == [(1, True), (2, True)]


def test_jobs_that_are_spoken_together_keep_their_traces_and_their_log_lines_apart(
    fleet: RunningFleet, collector: Collector
) -> None:
    texts = [f"Number {number} of those that are traced together." for number in range(4)]
    with batching(fleet, texts) as (worker, ids):
        assert [fleet.api.finished(job_id)["state"] for job_id in ids] == ["succeeded"] * 4
        works = {
            span.attributes["emotivoice.job_id"]: span
            for span in wait_for(lambda: _works(collector, ids) if len(_works(collector, ids)) == 4 else [])
        }
        log = worker.process.log_tail(1000)

    together = 0
    for work in works.values():
        (engine,) = named([span for span in collector.spans if span.trace_id == work.trace_id], "synthesize")
        assert engine.parent_id == work.span_id
        together = max(together, engine.attributes["emotivoice.batch"])
    assert together > 1
    lines = [json.loads(line) for line in log.splitlines() if '"step ended"' in line]
    assert {line["job_id"]: line["trace_id"] for line in lines} == {
        job_id: work.trace_id for job_id, work in works.items()
    }


def _works(collector: Collector, ids: list[str]) -> list[CollectedSpan]:
    spans = named(collector.spans, "process tts.interactive")
    return [span for span in spans if span.attributes["emotivoice.job_id"] in ids]


def test_nobody_traces_a_probe_or_what_no_request_led_to(fleet: RunningFleet, collector: Collector) -> None:
    job_id, trace_id = submitted(fleet, "While they look after me.")
    assert fleet.ready
    fleet.api.http.get("/metrics")
    fleet.api.finished(job_id)
    collector.trace(trace_id, until=worked_on("process tts.interactive"))

    roots = {span.name for span in collector.spans if not span.parent_id}
    assert all(" /v1/" in name for name in roots), roots


def test_a_worker_that_stops_sends_its_last_spans(collector: Collector, fleet: RunningFleet) -> None:
    with fleet.without_worker(Lane.INTERACTIVE):
        worker = fleet.new_worker(OTEL_BSP_SCHEDULE_DELAY="600000")
        worker.process.start()
        job_id, trace_id = submitted(fleet, "This is my last job.")
        assert fleet.api.finished(job_id)["state"] == "succeeded"

        worker.process.stop()

    assert collector.trace(trace_id, until=worked_on("process tts.interactive"))


def test_with_the_collector_away_jobs_go_on_and_the_log_says_it_once(fleet: RunningFleet) -> None:
    nobody = Collector()
    with fleet.without_worker(Lane.INTERACTIVE):
        worker = fleet.new_worker(EMOTIVOICE_OTLP_ENDPOINT=nobody.url, OTEL_EXPORTER_OTLP_TRACES_TIMEOUT="1")
        worker.process.start()
        for number in range(5):
            assert fleet.api.spoken(f"Nobody listens, {number}.")["attempts"] == 1
        wait_for(lambda: "traces are lost" in worker.process.log_tail(1000))
        with nobody:
            fleet.api.spoken("Now somebody listens.")
            wait_for(lambda: "traces arrive again" in worker.process.log_tail(1000))
            assert named(nobody.spans, "process tts.interactive")
        fleet.api.spoken("Nobody listens any more.")
        worker.process.stop()

    log = worker.process.log_tail(1000)
    assert log.count("traces are lost") <= 2
    assert "Transient error" not in log
    assert "opentelemetry" not in log
