"""What is told of a job that has ended: a line for the audit, and counters."""

import json
import logging
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from shared.ended import job_ended
from shared.jobs import Failure, Job, JobKind, JobState, Lane
from shared.logging import JsonFormatter

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
JOB = Job("j", Lane.BULK, 120, created_at=100.0, started_at=103.0, tenant="radio", trace=TRACEPARENT)
SPOKEN = replace(JOB, segments_total=2, attempts=1, audio_seconds=8.0, engine_seconds=0.5)
DONE = replace(SPOKEN, state=JobState.SUCCEEDED, finished_at=110.0)


def told(job: Job, caplog: pytest.LogCaptureFixture) -> dict[str, object]:
    with caplog.at_level(logging.INFO, logger="emotivoice.audit"):
        job_ended(job)
    return json.loads(JsonFormatter().format(caplog.records[-1]))


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


def test_one_line_has_all_that_an_audit_asks_for(caplog: pytest.LogCaptureFixture) -> None:
    line = told(DONE, caplog)

    assert (line["logger"], line["message"], line["level"]) == ("emotivoice.audit", "job ended", "info")
    assert {name: line[name] for name in ("job_id", "tenant", "trace_id", "lane", "kind", "state", "code")} == {
        "job_id": "j",
        "tenant": "radio",
        "trace_id": TRACE,
        "lane": "bulk",
        "kind": "speech",
        "state": "succeeded",
        "code": "",
    }
    assert (line["characters"], line["segments"], line["attempts"], line["stand_in"]) == (120, 2, 1, False)
    assert (line["wait_seconds"], line["total_seconds"]) == (3.0, 10.0)
    assert (line["audio_seconds"], line["engine_seconds"]) == (8.0, 0.5)


def test_a_job_that_never_began_waited_until_its_end(caplog: pytest.LogCaptureFixture) -> None:
    line = told(replace(JOB, state=JobState.CANCELLED, started_at=None, finished_at=104.0, trace=""), caplog)

    assert (line["wait_seconds"], line["total_seconds"], line["trace_id"]) == (4.0, 4.0, "")


def test_what_succeeded_counts_with_its_characters_and_its_audio() -> None:
    by = {"lane": "bulk", "tenant": "counted"}
    ended = {**by, "state": "succeeded", "code": ""}
    before = sample("emotivoice_job_seconds_sum", lane="bulk")

    job_ended(replace(DONE, tenant="counted"))

    assert sample("emotivoice_jobs_finished_total", **ended) == 1
    assert sample("emotivoice_characters_total", **by) == 120
    assert sample("emotivoice_job_audio_seconds_total", **by) == 8.0
    assert sample("emotivoice_job_seconds_sum", lane="bulk") == before + 10.0


@pytest.mark.parametrize("kind", [JobKind.ENCODING, JobKind.EDITION])
def test_what_was_spoken_counts_once_however_often_it_is_encoded(kind: JobKind) -> None:
    by = {"lane": "assembly", "tenant": "author"}

    job_ended(replace(DONE, tenant="author", lane=Lane.ASSEMBLY, kind=kind))

    assert sample("emotivoice_job_audio_seconds_total", **by) == 0
    assert sample("emotivoice_jobs_finished_total", **by, state="succeeded", code="") > 0


def test_what_failed_counts_by_its_code_and_nothing_else() -> None:
    by = {"lane": "bulk", "tenant": "unlucky"}

    job_ended(replace(JOB, tenant="unlucky").failed(Failure("worker_lost", "three times"), now=104.0))

    assert sample("emotivoice_jobs_finished_total", **by, state="failed", code="worker_lost") == 1
    assert sample("emotivoice_characters_total", **by) == 0
