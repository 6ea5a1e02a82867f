"""Declare what must exist before the first worker starts: queues, exchanges, bucket. Safe to repeat."""

import logging

from shared.logging import set_up_logging
from shared.object_store import S3ObjectStore
from shared.queue import declare
from shared.settings import SharedSettings

log = logging.getLogger(__name__)


def main() -> None:
    settings = SharedSettings()
    set_up_logging(settings.log_level)
    for queue in declare(settings.broker_url.get_secret_value()):
        log.info("queue declared", extra={"queue": queue})
    S3ObjectStore(settings).make_bucket()
    log.info("bucket ready", extra={"bucket": settings.s3_bucket})


if __name__ == "__main__":
    main()
