"""A gateway in memory, with knobs; over httpx's transport or a real loopback port."""

import itertools
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from gateway.book_schemas import Upload
from gateway.schemas import (
    EmotionList,
    JobError,
    JobPage,
    JobStatus,
    Links,
    MissingVoice,
    Progress,
    QueuePlace,
    Result,
    SpokenAs,
    Voice,
)
from gateway.voice_schemas import VoiceList
from shared.jobs import JobState

AUDIO = b"RIFF, as far as this test is concerned" * 1000
_LONG_AGO = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

VOICES = VoiceList(
    engine="builtin",
    revision="abc123",
    sample_rate=16_000,
    default="anna",
    voices=[Voice(id="anna", name="Anna", languages=["en"], gender="female", description="calm [really]")],
    controls=["pitch_shift"],
    blends=False,
    imitates=True,
    missing=[MissingVoice(id="bob", reason="its model is not installed")],
    library=None,
    next_cursor=None,
)


def job_status(job_id: str, state: str, *, done: int = 0, total: int = 3, error: JobError | None = None) -> JobStatus:
    finished = state in ("succeeded", "failed", "cancelled", "expired")
    request = SpokenAs(
        voice="anna",
        emotion="neutral",
        emotion_strength=1,
        speed=1,
        pitch_shift=0,
        pitch_scale=1,
        energy_shift=0,
        energy_scale=1,
        format="wav",
        sample_rate=16_000,
        seed=0,
    )
    return JobStatus(
        id=job_id,
        state=JobState(state),
        lane="interactive",
        progress=Progress(segments_done=done, segments_total=total),
        queue=None if finished else QueuePlace(position=2 if state == "queued" else None, eta_seconds=4.5),
        attempts=1,
        stand_in=None,
        created_at=_LONG_AGO,
        started_at=_LONG_AGO,
        finished_at=_LONG_AGO if finished else None,
        expires_at=_LONG_AGO if finished else None,
        request=request,
        metadata={},
        result=_result(job_id) if state == "succeeded" else None,
        usage=None,
        error=error,
        links=Links(self=f"/v1/jobs/{job_id}", audio=None),
    )


def _result(job_id: str) -> Result:
    return Result(
        audio=f"/v1/jobs/{job_id}/audio",
        timings=f"/v1/jobs/{job_id}/timings",
        url="http://127.0.0.1:9/there",
        url_expires_at=_LONG_AGO,
        bytes=len(AUDIO),
        seconds=1.5,
        sample_rate=16_000,
        format="wav",
        content_type="audio/wav",
        sha256="",
        warnings=["☺ was not spoken"],
    )


class FakeGateway:
    """Jobs step through `life`, one step a look; a look at the last step stays there."""

    def __init__(self) -> None:
        self.life = ["queued", "running", "succeeded"]
        self.failure: JobError | None = None
        self.outages = 0  # answers of 503 before the next good one
        self.retry_after = "0"
        self.losses = 0  # connections that break after the request was taken
        self.refusal: httpx.Response | None = None  # of a submit
        self.max_bytes = 1000  # of an upload
        self.submitted: dict[str, dict[str, Any]] = {}  # by Idempotency-Key
        self.listed: list[JobStatus] = []
        self.cancelled: list[str] = []
        self.requests: list[httpx.Request] = []
        self._looks = itertools.count()
        self.looked = threading.Event()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.outages:
            self.outages -= 1
            return problem(503, "queue_unavailable", "the job queue is away", {"Retry-After": self.retry_after})
        answer = self._answer(request)
        if self.losses:
            self.losses -= 1
            raise httpx.ReadError("connection reset", request=request)
        return answer

    def _answer(self, request: httpx.Request) -> httpx.Response:  # noqa: PLR0911 - one for each route
        match (request.method, request.url.path.split("/")[2:]):
            case ("POST", ["jobs"]):
                return self._submit(request)
            case ("GET", ["jobs"]):
                return self._list(request)
            case ("GET", ["jobs", job_id]):
                return self._look(job_id, request)
            case ("GET", ["jobs", _, "audio"]):
                return httpx.Response(200, content=AUDIO)
            case ("DELETE", ["jobs", job_id]):
                return self._cancel(job_id)
            case ("GET", ["voices"]):
                return answer(VOICES)
            case ("POST", ["uploads"]):
                return answer(self._upload(request), status=201)
            case ("PUT", ["uploaded"]):
                return httpx.Response(200)
            case ("GET", ["emotions"]):
                return answer(EmotionList(emotions=["neutral", "happy"], free_text=False))
            case _:
                return httpx.Response(404, text="<html>nothing   here</html>")

    def _upload(self, request: httpx.Request) -> Upload:
        url = f"http://{request.headers['Host']}/store/uploaded"
        return Upload(
            key="uploads/default/1", url=url, url_expires_at=_LONG_AGO, expires_at=_LONG_AGO, max_bytes=self.max_bytes
        )

    def _submit(self, request: httpx.Request) -> httpx.Response:
        if self.refusal:
            return self.refusal
        self.submitted[request.headers["Idempotency-Key"]] = json.loads(request.content)
        return answer(job_status("job-1", "queued"), status=202)

    def _look(self, job_id: str, request: httpx.Request) -> httpx.Response:
        if job_id == "gone":
            return problem(404, "job_not_found", "there is no job 'gone'", {})
        step = min(next(self._looks), len(self.life) - 1)
        self.looked.set()
        etag = f'W/"{step}"'
        if request.headers.get("If-None-Match") == etag:
            return httpx.Response(304)
        state = self.life[step]
        error = self.failure if state == "failed" else None
        return answer(job_status(job_id, state, done=step, error=error), headers={"ETag": etag})

    def _list(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params
        start, limit = int(query.get("cursor", "0")), int(query["limit"])
        found = [job for job in self.listed if query.get("state", job.state) == job.state]
        more = str(start + limit) if start + limit < len(found) else None
        return answer(JobPage(jobs=found[start : start + limit], next_cursor=more))

    def _cancel(self, job_id: str) -> httpx.Response:
        self.cancelled.append(job_id)
        if self.life[-1] == "succeeded" and len(self.life) == 1:
            return httpx.Response(204)
        return answer(job_status(job_id, "cancelled"))


def answer(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> httpx.Response:
    known = {"Content-Type": "application/json", **(headers or {})}
    return httpx.Response(status, content=body.model_dump_json(), headers=known)


def problem(status: int, code: str, detail: str, headers: dict[str, str]) -> httpx.Response:
    body = json.dumps({"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code})
    return httpx.Response(status, content=body, headers={**headers, "Content-Type": "application/problem+json"})


@contextmanager
def served(gateway: FakeGateway) -> Generator[str]:
    """Serve the gateway on a free loopback port, and yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = dict(self.headers.items())
            given = gateway(httpx.Request(self.command, f"http://fake{self.path}", headers=headers, content=content))
            self.send_response(given.status_code)
            for name, value in given.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(given.content)

        do_GET = do_POST = do_PUT = do_DELETE = _do

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
