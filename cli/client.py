"""The gateway's HTTP API as Python calls."""

import time
import uuid
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import httpx

from cli.errors import ApiError, GatewayUnreachable, InvalidToken, InvalidUrl
from shared.loopback import is_loopback

Json = dict[str, Any]

PATIENCE_SECONDS = 60.0  # how long a call puts up with 503, and with a gateway that answered before and is gone
WAIT_SECONDS = 20.0  # one long poll; the gateway allows 30, proxies often cut at 60
POLL_SECONDS = 0.1  # between two looks at least, should a proxy not let the gateway wait
ANSWER_SECONDS = 15.0  # for a call that does not wait
PAGE = 100  # jobs; the most that the gateway lists at once
FINISHED = frozenset({"succeeded", "failed", "cancelled", "expired"})


class Client:
    """One gateway. Calls that are safe to repeat outlast its restart; a submit is, since it carries a key.

    Every call raises:
        ApiError: the gateway refused.
        GatewayUnreachable: nothing answers.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = httpx.Client(
            base_url=_base(url),
            headers=_authorization(token),  # httpx drops it where a redirect leads away
            transport=transport,
            timeout=ANSWER_SECONDS,
            follow_redirects=True,  # audio may lie behind a link to the object store
            trust_env=not is_loopback(httpx.URL(url).host),  # a proxy can't reach this machine's own loopback
        )
        self._sleep = sleep
        self._reached = False

    def submit(self, **fields: object) -> Json:
        """Make a job of the fields that are not None, and return it; retried or not, it is one job."""
        body = {name: value for name, value in fields.items() if value is not None}
        return self._json("POST", "/v1/jobs", json=body, headers={"Idempotency-Key": str(uuid.uuid4())})

    def job(self, job_id: str, *, wait: float | None = None) -> Json:
        """Return the job: at once, or when it is finished, or after `wait` seconds, at most 30."""
        return self._json("GET", f"/v1/jobs/{job_id}", **_waiting(wait))

    def wait(self, job_id: str, on_progress: Callable[[Json], None] | None = None) -> Json:
        """Return the job once it is finished; tell of every change on the way."""
        etag = ""
        while True:
            waiting: Json = {"headers": {"If-None-Match": etag}, **_waiting(WAIT_SECONDS)} if etag else {}
            asked = time.monotonic()
            answer = self.call("GET", f"/v1/jobs/{job_id}", **waiting)
            if answer.status_code != 304:
                job, etag = cast(Json, answer.json()), answer.headers.get("ETag", "")
                if on_progress:
                    on_progress(job)
                if job["state"] in FINISHED:
                    return job
            self._sleep(max(asked + POLL_SECONDS - time.monotonic(), 0))

    def download(self, job_id: str, target: BinaryIO) -> int:
        """Write the job's audio, and return its bytes."""
        answer = self.call("GET", f"/v1/jobs/{job_id}/audio", stream=True)
        written = 0
        try:
            for block in answer.iter_bytes():
                written += target.write(block)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        finally:
            answer.close()
        return written

    def jobs(self, *, state: str | None = None, limit: int = 20) -> Iterator[Json]:
        """Yield jobs, the newest first, asking for page after page."""
        query: dict[str, str | int] = {"state": state} if state else {}
        while limit > 0:
            page = self._json("GET", "/v1/jobs", params={**query, "limit": min(limit, PAGE)})
            yield from page["jobs"]
            limit -= len(page["jobs"])
            if not page["next_cursor"]:
                return
            query["cursor"] = page["next_cursor"]

    def cancel(self, job_id: str) -> Json | None:
        """Cancel the job and return it; None if it was finished already, and is removed now with its audio.

        Never repeated by itself: the second call would remove what the first has cancelled.
        """
        answer = self.call("DELETE", f"/v1/jobs/{job_id}", repeat=False)
        return None if answer.status_code == 204 else cast(Json, answer.json())

    def voices(self) -> Json:
        return self._json("GET", "/v1/voices")

    def emotions(self) -> Json:
        return self._json("GET", "/v1/emotions")

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def _json(self, method: str, path: str, **options: Any) -> Json:
        return cast(Json, self.call(method, path, **options).json())

    def call(
        self, method: str, path: str, *, repeat: bool = True, stream: bool = False, **options: Any
    ) -> httpx.Response:
        """Send the request until it is answered by something else than 503, or patience ends."""
        request = self._http.build_request(method, path, **options)
        patience = PATIENCE_SECONDS if repeat else 0.0
        while True:
            try:
                answer = self._http.send(request, stream=stream)
            except httpx.TransportError as error:
                pause = 1.0
                if not self._reached or patience < pause:
                    raise self._unreachable(error) from error
            else:
                self._reached = True
                pause = _retry_after(answer)
                if answer.status_code != 503 or patience < pause:
                    return _checked(answer)
                answer.close()
            patience -= pause
            self._sleep(pause)

    def _unreachable(self, error: httpx.TransportError) -> GatewayUnreachable:
        url = error.request.url  # of the object store, if the gateway pointed there
        ours = url.host == self._http.base_url.host and url.port == self._http.base_url.port
        address = self._http.base_url if ours else url.copy_with(path="/", query=None)
        return GatewayUnreachable(str(address).rstrip("/"), str(error) or type(error).__name__)


def _base(url: str) -> httpx.URL:
    try:
        base = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidUrl(url) from error
    if base.scheme not in ("http", "https") or not base.host:
        raise InvalidUrl(url)
    return base


def _authorization(token: str) -> dict[str, str]:
    if not token.isascii() or not token.isprintable() or " " in token:  # the library's own error would repeat it
        raise InvalidToken
    return {"Authorization": f"Bearer {token}"} if token else {}


def _waiting(seconds: float | None) -> Json:
    if seconds is None:
        return {}
    return {"params": {"wait": seconds}, "timeout": seconds + ANSWER_SECONDS}


def _retry_after(answer: httpx.Response) -> float:
    """Return the seconds that the gateway asks for; 1 if it gives none, or a date."""
    asked = answer.headers.get("Retry-After", "")
    return max(float(asked), 0.1) if asked.isdecimal() else 1.0


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_success or answer.status_code == 304:
        return answer
    answer.read()
    answer.close()
    raise _problem(answer)


def _problem(answer: httpx.Response) -> ApiError:
    if answer.headers.get("Content-Type", "").startswith("application/problem+json"):
        body = cast(Json, answer.json())
        return ApiError(answer.status_code, body["code"], body["detail"])
    said = " ".join(answer.text.split())[:200]
    detail = f"{answer.url} answered {answer.status_code} {answer.reason_phrase}" + (f": {said}" if said else "")
    return ApiError(answer.status_code, "http_error", detail)
