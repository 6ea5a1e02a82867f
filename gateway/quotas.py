"""What tenants may use: their limits, kept for a few seconds; the refusal, and the headers that tell what is left.

`RateLimit` and `RateLimit-Policy` are of draft-ietf-httpapi-ratelimit-headers-10, which may change before it is an RFC.
"""

import math
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.auth.caller import Caller
from gateway.errors import job_problem
from gateway.settings import GatewaySettings
from shared.accepted import REFUSED
from shared.errors import JobError, QuotaExceeded
from shared.jobs import Job
from shared.limits import AsyncTenants, Limits, Quota, burst_of
from shared.ports import LaneLoad
from shared.quotas import SCALE, wanted
from shared.usage import DAY_SECONDS

KEPT_SECONDS = 5.0  # so long limits are obeyed that were changed
MOST_KEPT = 10_000  # tenants
DAILY = (Quota.CHARACTERS, Quota.AUDIO)
UNITS = {
    Quota.CHARACTERS: "characters",
    Quota.AUDIO: "audio-seconds",
    Quota.JOBS: "concurrent-jobs",
    Quota.STORAGE: "bytes",
    Quota.LINES: "open-lines",
}


@dataclass(frozen=True)
class Shown:
    """A quota as an answer's headers show it."""

    quota: Quota
    limit: int
    left: int
    window_seconds: int | None = None
    reset_seconds: int | None = None

    @property
    def policy(self) -> str:
        window = f";w={self.window_seconds}" if self.window_seconds else ""
        unit = f';qu="{UNITS[self.quota]}"' if self.quota in UNITS else ""
        return f'"{self.quota}";q={self.limit}{window}{unit}'

    @property
    def state(self) -> str:
        reset = "" if self.reset_seconds is None else f";t={self.reset_seconds}"
        return f'"{self.quota}";r={max(self.left, 0)}{reset}'


_shown: ContextVar[list[Shown] | None] = ContextVar("shown", default=None)


class Quotas:
    """The tenants' limits."""

    def __init__(self, settings: GatewaySettings, tenants: AsyncTenants) -> None:
        self._usual = Limits(
            requests_per_second=settings.quota_requests_per_second,
            characters_per_day=settings.quota_characters_per_day,
            audio_seconds_per_day=settings.quota_audio_seconds_per_day,
            concurrent_jobs=settings.quota_concurrent_jobs,
            stored_bytes=settings.quota_stored_bytes,
            open_lines=settings.quota_open_lines,
        )
        self._tenants = tenants
        self._kept: dict[str, tuple[Limits, float]] = {}  # with the moment until when

    async def limits(self, tenant: str) -> Limits:
        kept = self._kept.get(tenant)
        if kept is None or kept[1] < time.monotonic():
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            kept = self._kept[tenant] = (
                self._usual.but(await self._tenants.own(tenant)),
                time.monotonic() + KEPT_SECONDS,
            )
        return kept[0]

    async def take(self, tenant: str) -> None:
        """Take the token of a request.

        Raises:
            QuotaExceeded: there is none.
        """
        rate = (await self.limits(tenant)).requests_per_second
        if not rate:
            return
        burst = burst_of(rate)
        taken = await self._tenants.take(tenant, rate=rate, burst=burst)
        window = math.ceil(burst / rate)
        show(Shown(Quota.REQUESTS, burst, taken.left, window, math.ceil(taken.full_seconds)))
        if not taken.granted:
            raise QuotaExceeded(Quota.REQUESTS, limit=rate, used=rate, wanted=1, retry_after_seconds=taken.wait_seconds)

    def show_used(self, job: Job, limits: Limits, used: Mapping[Quota, int]) -> None:
        """Tell what is left now that the job is recorded, by what was used before."""
        for quota, before in used.items():
            self._show(quota, limits.of(quota), (before + wanted(job)[quota]) / SCALE.get(quota, 1))

    async def refusal(self, error: QuotaExceeded, tenant: str, load: LaneLoad) -> QuotaExceeded:
        """Return the refusal with the time when the request would be taken, as far as anybody knows."""
        self._show(error.quota, error.limit, error.used)
        error.retry_after_seconds = await self._wait(error, tenant, load)
        return error

    async def _wait(self, error: QuotaExceeded, tenant: str, load: LaneLoad) -> float | None:
        match error.quota:
            case Quota.JOBS:  # the oldest of them ends about when a step does
                return load.service_seconds or 1.0
            case Quota.LINES:
                too_many = error.used + error.wanted - error.limit
                return None if error.wanted > error.limit else too_many * (load.seconds_per_step or 1.0)
            case Quota.STORAGE:
                expiry = await self._tenants.next_expiry(tenant)
                return None if expiry is None else expiry - time.time()
            case _:  # by the day; what is longer than a day's worth never passes
                return None if error.wanted > error.limit else _until_tomorrow()

    def _show(self, quota: Quota, limit: float, used: float) -> None:
        daily = quota in DAILY
        window, reset = (DAY_SECONDS, math.ceil(_until_tomorrow())) if daily else (None, None)
        show(Shown(quota, math.floor(limit), math.floor(limit - used), window, reset))


def show(shown: Shown) -> None:
    """Have it in the headers of the answer to the request that is dealt with."""
    noted = _shown.get()
    if noted is not None:
        noted.append(shown)


def _until_tomorrow() -> float:
    return DAY_SECONDS - time.time() % DAY_SECONDS


class QuotaGate:
    """Takes the token of each request whose caller is known, and tells in each answer what is left."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: Caller | None = scope.get("state", {}).get("caller")
        if caller is None:
            await self._app(scope, receive, send)
            return
        shown: list[Shown] = []
        _shown.set(shown)

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and shown:
                headers = MutableHeaders(scope=message)
                headers["RateLimit-Policy"] = ", ".join(each.policy for each in shown)
                headers["RateLimit"] = ", ".join(each.state for each in shown)
            await send(message)

        quotas: Quotas = scope["app"].state.services.quotas
        try:
            await quotas.take(caller.tenant)
        except JobError as error:
            if isinstance(error, QuotaExceeded):
                REFUSED.labels(caller.tenant, error.quota).inc()
            await job_problem(error)(scope, receive, told)
            return
        await self._app(scope, receive, told)
