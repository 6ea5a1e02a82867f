"""What the relay has sent, and what it does while a server is away."""

import pytest

from shared.errors import QueueUnavailable, StoreUnavailable
from shared.webhook_store import SENT_AGAIN_SECONDS
from shared.webhooks import Delivery
from sweeper.relay import Relay

NOW = 1_000_000.0


class FakeWebhooks:
    """What is due, by name. An event has the webhooks that `wanted` names."""

    def __init__(self) -> None:
        self.when: dict[str, float] = {}
        self.wanted: dict[str, list[str]] = {}
        self.away = False

    def due(self, *, now: float, limit: int) -> list[str]:
        if self.away:
            raise StoreUnavailable
        return [name for name, when in self.when.items() if when <= now][:limit]

    def waiting(self) -> int:
        return len(self.when)

    def put_off(self, name: str, *, until: float) -> None:
        if name in self.when:
            self.when[name] = until

    def split(self, event_id: str, *, now: float) -> list[Delivery]:
        del self.when[event_id]
        deliveries = [
            Delivery(event_id, hook, "acme", "job.failed", "job-1", now) for hook in self.wanted.get(event_id, [])
        ]
        self.when |= {delivery.name: now for delivery in deliveries}
        return deliveries


class FakeLanes:
    def __init__(self, webhooks: FakeWebhooks) -> None:
        self.sent: list[str] = []
        self.refuses = False
        self.done_at_once = False
        self._webhooks = webhooks

    def deliver(self, name: str) -> None:
        if self.refuses:
            raise QueueUnavailable
        self.sent.append(name)
        if self.done_at_once:
            del self._webhooks.when[name]


@pytest.fixture
def webhooks() -> FakeWebhooks:
    return FakeWebhooks()


@pytest.fixture
def lanes(webhooks: FakeWebhooks) -> FakeLanes:
    return FakeLanes(webhooks)


@pytest.fixture
def relay(webhooks: FakeWebhooks, lanes: FakeLanes) -> Relay:
    return Relay(webhooks, lanes, clock=lambda: NOW)


def test_an_event_is_sent_to_each_webhook_that_wants_it(relay: Relay, webhooks: FakeWebhooks, lanes: FakeLanes) -> None:
    webhooks.when, webhooks.wanted = {"evt_1": NOW, "evt_2": NOW}, {"evt_1": ["wh_1", "wh_2"]}

    relay.round()

    assert lanes.sent == ["evt_1:wh_1", "evt_1:wh_2"]
    assert webhooks.when == dict.fromkeys(lanes.sent, NOW + SENT_AGAIN_SECONDS)


def test_a_delivery_is_sent_when_its_time_has_come(relay: Relay, webhooks: FakeWebhooks, lanes: FakeLanes) -> None:
    webhooks.when = {"evt_1:wh_1": NOW - 1, "evt_2:wh_1": NOW + 1}

    relay.round()

    assert lanes.sent == ["evt_1:wh_1"]


def test_what_is_done_before_the_relay_has_noted_it_does_not_come_back(
    relay: Relay, webhooks: FakeWebhooks, lanes: FakeLanes
) -> None:
    webhooks.when, lanes.done_at_once = {"evt_1:wh_1": NOW}, True

    relay.round()

    assert webhooks.when == {}


def test_what_the_broker_refuses_is_sent_in_the_next_round(
    relay: Relay, webhooks: FakeWebhooks, lanes: FakeLanes, caplog: pytest.LogCaptureFixture
) -> None:
    webhooks.when, lanes.refuses = {"evt_1:wh_1": NOW}, True
    relay.round()
    relay.round()
    lanes.refuses = False

    relay.round()

    assert lanes.sent == ["evt_1:wh_1"]
    assert len([record for record in caplog.records if "webhooks" in record.getMessage()]) == 1  # not in each round


def test_an_outage_of_redis_is_a_matter_for_the_next_round(
    relay: Relay, webhooks: FakeWebhooks, lanes: FakeLanes
) -> None:
    webhooks.when, webhooks.away = {"evt_1:wh_1": NOW}, True
    relay.round()
    webhooks.away = False

    relay.round()

    assert lanes.sent == ["evt_1:wh_1"]


def test_a_sweeper_that_stops_sends_nothing_more(relay: Relay, webhooks: FakeWebhooks, lanes: FakeLanes) -> None:
    webhooks.when = {"evt_1:wh_1": NOW}

    relay.round(go_on=lambda: False)

    assert (lanes.sent, webhooks.when) == ([], {"evt_1:wh_1": NOW})
