"""Where webhooks may go, of a tenant or of one job."""

from dataclasses import replace

from gateway.dependencies import Services
from shared.errors import InvalidWebhookUrl, NoWebhookSecret
from shared.job_request import JobRequest
from shared.jobs import Job
from shared.outbound import Rules, TargetRefused, parsed
from shared.webhooks import OF_JOBS


def check_url(url: str, rules: Rules) -> None:
    """Refuse what nothing will be sent to. What a name resolves to shows when something is sent.

    Raises:
        InvalidWebhookUrl: it says why.
    """
    try:
        parsed(url, rules)
    except TargetRefused as refused:
        raise InvalidWebhookUrl(str(refused)) from refused


async def with_webhook(job: Job, body: JobRequest, services: Services) -> Job:
    """Return the job with who is to be told how it ends, if the request names somebody.

    Raises:
        InvalidWebhookUrl, NoWebhookSecret: nobody could be told.
    """
    if not body.webhook_url:
        return job
    check_url(body.webhook_url, services.settings.outbound)
    if await services.webhooks.find(job.tenant, OF_JOBS) is None:
        raise NoWebhookSecret
    return replace(job, webhook_url=body.webhook_url, webhook_events=tuple(dict.fromkeys(body.webhook_events)))
