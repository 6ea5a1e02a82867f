"""What Schemathesis has to be told: how bodies of JSON Lines are written."""

from typing import Any

import schemathesis

from gateway.batch_file import JSON_LINES


@schemathesis.serializer(*JSON_LINES)
def json_lines(_: Any, value: Any) -> bytes:
    """Return what was made up for the body, of whatever kind."""
    if isinstance(value, bytes):
        return value
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else bytes(str(value), "utf-8")
