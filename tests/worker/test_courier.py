"""How a child takes webhooks to their receivers: what comes of each answer, and who has to wait."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

import pytest
from prometheus_client import REGISTRY

from shared.errors import StoreUnavailable
from shared.jobs import Job, JobState, Lane, SpeechRequest
from shared.outbound import Rules, networks
from shared.webhooks import EVENT_TYPES, OF_JOBS, Delivery, DeliveryState, Event, Secret, Webhook, new_secret
from tests.receiving import Server, fine, serving
from tests.waiting import wait_for
from worker.courier import DAY_SECONDS, MOST_FOR_ONE, Courier, Parcel, Terms

LOOPBACK = Rules(http=True, private=networks("127.0.0.0/8"))
TERMS = Terms(LOOPBACK, answer_seconds=2, retry_seconds=[5, 60], disable_days=5)
NAME = "evt_1:wh_1"


class FakeWebhooks:
    """Deliveries by name. What a courier tells is kept; `away` is how many of the next calls fail."""

    def __init__(self) -> None:
        self.parcels: dict[str, Parcel] = {}
        self.claims: dict[str, str] = {}
        self.settled: list[Delivery] = []
        self.dropped: list[str] = []
        self.put_off_until: dict[str, float] = {}
        self.failing_since: float | None = None
        self.worked = 0
        self.disabled = ""
        self.away = 0

    def claim(self, name: str, *, token: str, seconds: float) -> bool:
        return self.claims.setdefault(name, token) == token

    def load(self, name: str) -> Parcel | None:
        return self.parcels.get(name)

    def put_off(self, name: str, *, until: float) -> None:
        self.put_off_until[name] = until

    def settle(self, delivery: Delivery, *, token: str) -> None:
        if self.away:
            self.away -= 1
            raise StoreUnavailable
        assert self.claims.pop(delivery.name) == token
        self.settled.append(delivery)

    def drop(self, name: str) -> None:
        self.dropped.append(name)

    def works(self, webhook: Webhook) -> None:
        self.worked += 1

    def fails(self, webhook: Webhook, *, now: float) -> float:
        self.failing_since = self.failing_since or now
        return self.failing_since

    def disable(self, webhook: Webhook, reason: str) -> bool:
        first, self.disabled = not self.disabled, reason
        return first


@pytest.fixture
def webhooks() -> FakeWebhooks:
    return FakeWebhooks()


@pytest.fixture
def courier(webhooks: FakeWebhooks) -> Iterator[Courier]:
    courier = Courier(webhooks, TERMS)
    yield courier
    courier.close()


def parcel(url: str, name: str = NAME) -> Parcel:
    job = Job("job-1", Lane.BULK, 5, 1_000.0, state=JobState.SUCCEEDED, finished_at=1_002.0, tenant="acme")
    request = SpeechRequest("", "hum", "neutral", 1.0, 1.0, "wav", 16_000, 7)
    event_id, _, webhook_id = name.partition(":")
    event = Event(event_id, "job.succeeded", 1_002.0, "acme", job, request)
    hook = Webhook(webhook_id, "acme", url, EVENT_TYPES, (Secret(new_secret()),), 1.0)
    return Delivery(event_id, webhook_id, "acme", event.type, job.id, 1_002.0), event, hook


def url_of(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/secret-path"


def answering(status: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()

    return answer


def taken(courier: Courier, webhooks: FakeWebhooks, what: Parcel) -> Delivery:
    """Have it delivered, and return it as it is then."""
    webhooks.parcels[NAME] = what
    courier.take(NAME)
    wait_for(lambda: webhooks.settled)
    return webhooks.settled[-1]


def test_what_a_receiver_takes_is_done(courier: Courier, webhooks: FakeWebhooks) -> None:
    with serving(fine) as server:
        done = taken(courier, webhooks, parcel(url_of(server)))

    ((method, path, headers, body),) = server.requests
    assert (method, path) == ("POST", "/secret-path")
    assert headers["webhook-id"] == "evt_1"
    assert headers["webhook-signature"].startswith("v1,")
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 5
    assert headers["Content-Type"] == "application/json"
    assert body == webhooks.parcels[NAME][1].body()
    assert (done.state, done.next_at, done.attempts[0].status) == (DeliveryState.SUCCEEDED, None, 200)
    assert not webhooks.claims


@pytest.mark.parametrize("status", [301, 307, 400, 404, 429, 500, 503])
def test_any_other_answer_is_tried_again(courier: Courier, webhooks: FakeWebhooks, status: int) -> None:
    with serving(answering(status, Location="/elsewhere")) as server:
        tried = taken(courier, webhooks, parcel(url_of(server)))

    assert len(server.requests) == 1
    assert (tried.state, tried.tries, tried.attempts[0].error) == (DeliveryState.WAITING, 1, f"it answered {status}")
    assert tried.next_at
    assert 4 < tried.next_at - time.time() < 6


@pytest.mark.parametrize(
    ("status", "wish", "seconds"),
    [(429, "40", 40), (503, "40", 40), (503, "999999", 86400), (500, "40", 5), (429, "tomorrow", 5), (429, "²", 5)],
)
def test_a_receiver_s_wish_for_more_time_counts(
    courier: Courier, webhooks: FakeWebhooks, status: int, wish: str, seconds: int
) -> None:
    with serving(answering(status, Retry_After=wish)) as server:
        tried = taken(courier, webhooks, parcel(url_of(server)))

    assert tried.next_at == tried.attempts[0].at + seconds


def test_who_can_t_be_reached_is_tried_again(courier: Courier, webhooks: FakeWebhooks) -> None:
    with serving(fine) as server:
        url = url_of(server)

    tried = taken(courier, webhooks, parcel(url))

    assert (tried.attempts[0].status, tried.attempts[0].error) == (None, "it refused the connection")


def test_nothing_goes_where_it_may_not(webhooks: FakeWebhooks) -> None:
    courier = Courier(webhooks, Terms(Rules(http=True)))
    with serving(fine) as server:
        tried = taken(courier, webhooks, parcel(url_of(server)))
    courier.close()

    assert server.requests == []
    assert (tried.state, tried.attempts[0].error) == (DeliveryState.WAITING, "its host is no public address")


def test_a_job_s_own_url_is_told_too(courier: Courier, webhooks: FakeWebhooks) -> None:
    with serving(fine) as server:
        delivery, event, hook = parcel("", f"evt_1:{OF_JOBS}")
        assert event.job
        event = replace(event, job=replace(event.job, webhook_url=url_of(server)))
        webhooks.parcels[delivery.name] = (delivery, event, hook)
        courier.take(delivery.name)
        wait_for(lambda: webhooks.settled)

    assert len(server.requests) == 1


def test_a_receiver_that_is_gone_is_told_nothing_more(courier: Courier, webhooks: FakeWebhooks) -> None:
    with serving(answering(410)) as server:
        taken(courier, webhooks, parcel(url_of(server)))

    assert webhooks.disabled == "it answered 410: it is gone"


def test_a_receiver_that_fails_for_days_is_told_nothing_more(courier: Courier, webhooks: FakeWebhooks) -> None:
    webhooks.failing_since = time.time() - 5.1 * DAY_SECONDS
    with serving(answering(500)) as server:
        taken(courier, webhooks, parcel(url_of(server)))

    assert webhooks.disabled == "it has taken nothing for 5.1 days; the latest time it answered 500"


def test_a_receiver_that_fails_for_a_day_is_told_on(courier: Courier, webhooks: FakeWebhooks) -> None:
    webhooks.failing_since = time.time() - DAY_SECONDS
    with serving(answering(500)) as server:
        taken(courier, webhooks, parcel(url_of(server)))

    assert webhooks.disabled == ""


def test_a_receiver_that_takes_something_fails_no_more(courier: Courier, webhooks: FakeWebhooks) -> None:
    with serving(fine) as server:
        delivery, event, hook = parcel(url_of(server))
        taken(courier, webhooks, (delivery, event, replace(hook, failing_since=5.0)))

    assert webhooks.worked == 1


def test_what_is_on_its_way_to_a_disabled_webhook_is_given_up(courier: Courier, webhooks: FakeWebhooks) -> None:
    with serving(fine) as server:
        delivery, event, hook = parcel(url_of(server))
        given_up = taken(courier, webhooks, (delivery, event, replace(hook, disabled="it is gone")))

    assert server.requests == []
    assert given_up.state is DeliveryState.FAILED


def test_what_nobody_wants_any_more_is_dropped(courier: Courier, webhooks: FakeWebhooks) -> None:
    courier.take("evt_2:wh_2")

    assert webhooks.dropped == ["evt_2:wh_2"]


def test_what_is_on_its_way_already_is_not_sent_twice(courier: Courier, webhooks: FakeWebhooks) -> None:
    webhooks.claims[NAME] = "another's"
    with serving(fine) as server:
        webhooks.parcels[NAME] = parcel(url_of(server))
        courier.take(NAME)
        courier.close()

    assert (server.requests, webhooks.settled) == ([], [])
    assert webhooks.put_off_until[NAME] > time.time()  # so that it comes again, should that worker die


def test_one_receiver_that_hangs_leaves_room_for_others(courier: Courier, webhooks: FakeWebhooks) -> None:
    release = threading.Event()

    def hanging(handler: BaseHTTPRequestHandler) -> None:
        release.wait(10)
        fine(handler)

    with serving(hanging) as slow, serving(fine) as quick:
        for number in range(MOST_FOR_ONE + 1):
            webhooks.parcels[f"evt_{number}:wh_1"] = parcel(url_of(slow), f"evt_{number}:wh_1")
            courier.take(f"evt_{number}:wh_1")
        webhooks.parcels["evt_9:wh_2"] = parcel(url_of(quick), "evt_9:wh_2")
        courier.take("evt_9:wh_2")
        wait_for(lambda: webhooks.settled)
        first_done = [one.event_id for one in webhooks.settled]
        late = f"evt_{MOST_FOR_ONE}:wh_1"
        waits = webhooks.put_off_until[late] - time.time()
        release.set()
        wait_for(lambda: len(webhooks.settled) == 1 + MOST_FOR_ONE)
        courier.take(late)  # there is room again
        wait_for(lambda: len(webhooks.settled) == 2 + MOST_FOR_ONE)

    assert first_done == ["evt_9"]
    assert waits < 5.1


def test_an_outcome_that_can_t_be_recorded_is_no_fault_of_the_child(courier: Courier, webhooks: FakeWebhooks) -> None:
    webhooks.away = 1
    with serving(fine) as server:
        webhooks.parcels[NAME] = parcel(url_of(server))
        courier.take(NAME)
        wait_for(lambda: not webhooks.away)
        webhooks.claims.clear()  # it has run out
        courier.take(NAME)
        wait_for(lambda: webhooks.settled)

    assert [headers["webhook-id"] for _, _, headers, _ in server.requests] == ["evt_1", "evt_1"]


def test_secrets_and_urls_are_in_no_log(
    courier: Courier, webhooks: FakeWebhooks, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with serving(answering(500)) as server:
        what = parcel(url_of(server))
        taken(courier, webhooks, what)
        courier.close()

    logged = str([vars(record) for record in caplog.records])
    assert "webhook tried" in logged
    assert what[2].secrets[0].value not in logged
    assert "secret-path" not in logged


def test_tries_are_counted_by_what_came_of_them(courier: Courier, webhooks: FakeWebhooks) -> None:
    def counted(outcome: str) -> float:
        return REGISTRY.get_sample_value("emotivoice_webhook_deliveries_total", {"outcome": outcome}) or 0.0

    before = {outcome: counted(outcome) for outcome in ("succeeded", "failed", "given_up")}
    with serving(answering(500)) as server:
        delivery, event, hook = parcel(url_of(server))
        taken(courier, webhooks, (delivery, event, hook))
        taken(courier, webhooks, (replace(delivery, tries=2), event, hook))
        wait_for(lambda: len(webhooks.settled) == 2)
    courier.close()

    assert [counted(outcome) - before[outcome] for outcome in before] == [0, 1, 1]
