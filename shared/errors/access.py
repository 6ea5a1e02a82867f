"""Failures of who asks, and of how much of it."""

from shared.access import TENANT_RULE
from shared.errors.base import JobError
from shared.limits import Quota


class QuotaExceeded(JobError):
    """The tenant has used up what it may have."""

    code = "quota_exceeded"

    def __init__(
        self, quota: Quota, *, limit: float, used: float, wanted: float, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(
            f"the quota {quota} is used up: {used:g} of {limit:g}"
            if used >= limit
            else f"the quota {quota} does not suffice: {used:g} of {limit:g} are used, and this needs {wanted:g}"
        )
        self.quota = quota
        self.limit = limit
        self.used = used
        self.wanted = wanted
        self.retry_after_seconds = retry_after_seconds  # None: it can't be told, or never


class LaneFull(Exception):
    """There are as many steps before a new job as there may be."""


class Overloaded(JobError):
    """The lane has more work than its jobs may wait for."""

    code = "overloaded"
    retryable = True

    def __init__(self, lane: str, *, limit_seconds: float, retry_after_seconds: float) -> None:
        super().__init__(f"the lane {lane} has work for more than {limit_seconds:g} s; come again later")
        self.retry_after_seconds = retry_after_seconds


class InvalidPeriod(JobError):
    """The days that were asked for are in the wrong order, or too many."""

    code = "invalid_period"

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"`from` has to be before `to`, or the same day, and the time at most {limit} days")
        self.limit = limit


class InvalidTenant(JobError):
    """The header that names the tenant holds no name."""

    code = "invalid_tenant"

    def __init__(self, header: str) -> None:
        super().__init__(f"the header {header} is no tenant's name: {TENANT_RULE}")


class Unauthorized(JobError):
    """The request does not say who sends it, or can't be believed. The sentence repeats nothing of what was sent."""

    code = "unauthorized"

    def __init__(self, why: str, *, error: str = "invalid_token") -> None:
        super().__init__(why)
        self.challenge = error  # as RFC 6750 names it; empty if nothing was sent


class Forbidden(JobError):
    """The caller is known, and may not do this."""

    code = "forbidden"

    def __init__(self, *enough: str) -> None:
        super().__init__(f"this needs the scope {' or '.join(enough)}, which the token or key does not grant")
        self.scope = enough[0]


class AuthUnavailable(JobError):
    """The keys by which tokens are checked have never been there."""

    code = "auth_unavailable"
    retryable = True

    def __init__(self) -> None:
        super().__init__("tokens can't be checked: the issuer's keys have not been received yet; try again shortly")


class ForeignOrigin(JobError):
    """A page of another site opens a stream."""

    code = "foreign_origin"

    def __init__(self) -> None:
        super().__init__("the Origin is not this site, and none that EMOTIVOICE_CORS_ORIGINS names")
