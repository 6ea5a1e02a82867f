"""What KEDA reads: RabbitMQ's management API, and the gateway's metrics as Prometheus scrapes them."""

from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx
from prometheus_client.parser import text_string_to_metric_families

from cli.stack.fleet import Fleet
from shared.jobs import Lane
from shared.queue import queue_name

ANSWER_SECONDS = 3.0  # KEDA's own timeout for HTTP
OLDEST = "emotivoice_lane_oldest_waiting_seconds"


class Readings:
    """One lane's."""

    def __init__(self, fleet: Fleet, lane: Lane) -> None:
        broker = fleet.servers.broker
        assert broker
        assert broker.management_url, "the fleet was made without the management API"
        account = urlsplit(broker.url)
        self._lane, self._gateway = lane, f"{fleet.url}/metrics"
        self._queue = f"{broker.management_url}/api/queues/{quote('/', safe='')}/{queue_name(lane)}"
        self._http = httpx.Client(timeout=ANSWER_SECONDS, trust_env=False)
        self._account = account.username or "", account.password or ""

    def messages(self) -> tuple[int, int] | None:
        """Return how many messages nobody has taken, and how many are not acknowledged; None without an answer."""
        try:
            answer = self._http.get(self._queue, auth=self._account).raise_for_status()
        except httpx.HTTPError:
            return None
        return counts(answer.json())

    def oldest_seconds(self) -> float:
        """Return the age of what waits longest; 0 without an answer, as with `ignoreNullValues`."""
        try:
            answer = self._http.get(self._gateway).raise_for_status()
        except httpx.HTTPError:
            return 0
        return oldest(answer.text, self._lane)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()


def counts(queue: dict[str, Any]) -> tuple[int, int]:
    """Return the messages of a queue, as the management API has it; one that was just declared lacks them."""
    return queue.get("messages_ready", 0), queue.get("messages_unacknowledged", 0)


def oldest(metrics: str, lane: Lane) -> float:
    """Return the age of what waits longest in a lane, of a gateway's metrics."""
    samples = (sample for family in text_string_to_metric_families(metrics) for sample in family.samples)
    return max((each.value for each in samples if each.name == OLDEST and each.labels["lane"] == lane), default=0)
