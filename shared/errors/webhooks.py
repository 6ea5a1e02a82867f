"""Failures of webhooks."""

from shared.errors.base import JobError


class WebhookNotFound(JobError):
    """There is no such webhook of this tenant."""

    code = "webhook_not_found"

    def __init__(self, webhook_id: str) -> None:
        super().__init__(f"there is no webhook {webhook_id}")


class DeliveryNotFound(JobError):
    """There is no such delivery, or no longer."""

    code = "delivery_not_found"

    def __init__(self, delivery_id: str) -> None:
        super().__init__(f"there is no delivery {delivery_id}; they are kept for a week")


class InvalidWebhookUrl(JobError):
    """Nothing would be sent to this URL."""

    code = "invalid_webhook_url"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the webhook's URL can't be used: {reason}")


class NoWebhookSecret(JobError):
    """The tenant has nothing to sign with what goes to its jobs' URLs."""

    code = "no_webhook_secret"

    def __init__(self) -> None:
        super().__init__("get a secret for your jobs' webhook_url first: POST /v1/webhooks/jobs/secret")


class TooManyWebhooks(JobError):
    """The tenant has as many as it may."""

    code = "too_many_webhooks"

    def __init__(self, limit: int) -> None:
        super().__init__(f"there are {limit} webhooks already, and there may be no more")
        self.limit = limit
