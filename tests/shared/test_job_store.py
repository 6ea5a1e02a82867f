"""How the Redis stores tell that Redis is away."""

import pytest
import redis

from shared.errors import StoreUnavailable
from shared.redis_clients import translated

UVLOOPS_WORDS = "unable to perform operation on <TCPTransport closed=True reading=False 0x1>; the handler is closed"


@pytest.mark.parametrize(
    "error", [redis.ConnectionError(), redis.TimeoutError(), redis.ReadOnlyError(), RuntimeError(UVLOOPS_WORDS)]
)
def test_whatever_keeps_redis_from_answering_is_one_error(error: Exception) -> None:
    with pytest.raises(StoreUnavailable), translated():
        raise error


def test_a_fault_of_ours_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="dictionary changed"), translated():
        raise RuntimeError("dictionary changed size during iteration")
