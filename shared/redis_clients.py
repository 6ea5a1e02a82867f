"""Clients of Redis: for workers, who wait out its restart, and for the gateway, which gives up soon."""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from shared.errors import StoreUnavailable

log = logging.getLogger(__name__)

# Of a client that many tasks use: the others wait in turn. Hundreds that connect in one moment take longer than a
# connection may, and the library's own pool refuses the 101st.
MOST_CONNECTIONS = 32
UNREACHABLE = (redis.ConnectionError, redis.TimeoutError)
# What uvloop says, where asyncio's own loop raises OSError, of a connection that was reset before the first command.
CLOSED_MEANWHILE = "the handler is closed"


@contextmanager
def translated() -> Generator[None]:
    """Raise StoreUnavailable for whatever keeps Redis from answering."""
    try:
        yield
    except redis.RedisError as error:  # away, or full, or read-only: nothing that another request would mend
        if not isinstance(error, UNREACHABLE):
            log.error("Redis refused: %s", error)
        raise StoreUnavailable from error
    except RuntimeError as error:
        if CLOSED_MEANWHILE not in str(error):
            raise
        raise StoreUnavailable from error


def patient_client(url: str) -> Any:
    """Return a client that waits out a restart of Redis for about a minute: the work in hand is worth more."""
    return cast(Any, redis.Redis).from_url(  # the library leaves its options untyped
        url,
        decode_responses=True,
        socket_timeout=5,
        socket_connect_timeout=3,
        retry=Retry(ExponentialBackoff(cap=2, base=0.05), 35),
        retry_on_error=list(UNREACHABLE),
    )


def hasty_client(url: str) -> Any:
    """Return a client that gives up soon: somebody waits for the answer."""
    pool = cast(Any, redis.asyncio.BlockingConnectionPool).from_url(  # the library leaves its options untyped
        url,
        max_connections=MOST_CONNECTIONS,
        timeout=3,
        decode_responses=True,
        socket_timeout=3,
        socket_connect_timeout=1,
        retry=AsyncRetry(ExponentialBackoff(cap=0.2, base=0.02), 3),
        retry_on_error=list(UNREACHABLE),
    )
    return redis.asyncio.Redis.from_pool(pool)
