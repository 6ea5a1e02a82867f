"""Webhooks as the API has them: made, changed, looked at, tested; never another tenant's."""

from typing import Any, get_args

import pytest

from gateway.settings import GatewaySettings
from shared.job_request import EventType
from shared.webhooks import EVENT_TYPES, MOST_WEBHOOKS
from tests.gateway.conftest import World, world_with

URL = "https://hooks.example/tts"
Json = dict[str, Any]


def created(world: World, **fields: object) -> Json:
    answer = world.client.post("/v1/webhooks", json={"url": URL, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


def jobs_secret(world: World) -> Json:
    answer = world.client.post("/v1/webhooks/jobs/secret")
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_the_api_names_every_type_of_event() -> None:
    assert get_args(EventType) == EVENT_TYPES


def test_a_webhook_is_told_everything_unless_it_asks_for_less(world: World) -> None:
    assert created(world)["events"] == list(EVENT_TYPES)
    assert created(world, events=["job.failed", "job.failed"])["events"] == ["job.failed"]


def test_a_secret_is_shown_once(world: World) -> None:
    hook = created(world, description="ours")
    secret = hook.pop("secret")

    assert secret.startswith("whsec_")
    assert world.client.get(f"/v1/webhooks/{hook['id']}").json() == hook
    assert world.client.get("/v1/webhooks").json() == {"webhooks": [hook]}
    assert secret not in world.client.get("/v1/webhooks").text
    assert hook["state"] == "enabled"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hooks.example/", "https://"),
        ("https://127.0.0.1/", "no public address"),
        ("https://[::ffff:10.0.0.1]/", "no public address"),
        ("https://user:password@hooks.example/", "no user or password"),
        ("https://hooks.example/ x", "printable ASCII"),
        ("ftp://hooks.example/", "https://"),
    ],
)
def test_a_url_that_nothing_would_be_sent_to_is_refused(world: World, url: str, why: str) -> None:
    jobs_secret(world)
    hook = created(world)
    answers = [
        world.client.post("/v1/webhooks", json={"url": url}),
        world.client.patch(f"/v1/webhooks/{hook['id']}", json={"url": url}),
        world.client.post("/v1/jobs", json={"text": "Hello", "webhook_url": url}),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(422, "invalid_webhook_url")] * 3
    assert all(why in answer.json()["detail"] for answer in answers)


def test_a_setting_allows_plain_http_and_private_addresses() -> None:
    settings = {"outbound_http": True, "outbound_private": "127.0.0.0/8"}
    with world_with(GatewaySettings.model_validate(settings)) as world:
        assert created(world, url="http://127.0.0.1:8000/")["url"] == "http://127.0.0.1:8000/"


def test_a_network_that_is_none_is_told_at_the_start() -> None:
    with pytest.raises(ValueError, match="outbound_private"):
        GatewaySettings.model_validate({"outbound_private": "10.0.0.0/33"})


@pytest.mark.parametrize("events", [[], ["job.queued"], "job.failed", [1]])
def test_events_that_are_none_are_refused(world: World, events: object) -> None:
    assert world.client.post("/v1/webhooks", json={"url": URL, "events": events}).status_code == 422


def test_a_webhook_is_changed_where_it_is_told_so(world: World) -> None:
    hook = created(world, description="ours")
    hook.pop("secret")

    changed = world.client.patch(f"/v1/webhooks/{hook['id']}", json={"events": ["job.expired"]}).json()

    assert changed == hook | {"events": ["job.expired"]}


def test_a_webhook_that_was_disabled_is_enabled(world: World) -> None:
    hook_id = created(world)["id"]
    place = ("default", hook_id)
    object.__setattr__(world.hooks.hooks[place], "disabled", "it has taken nothing for 5.1 days")
    object.__setattr__(world.hooks.hooks[place], "failing_since", 1_700_000_000.0)

    seen = world.client.get(f"/v1/webhooks/{hook_id}").json()
    after = world.client.patch(f"/v1/webhooks/{hook_id}", json={"enabled": True}).json()

    assert (seen["state"], seen["disabled_reason"]) == ("disabled", "it has taken nothing for 5.1 days")
    assert seen["failing_since"] == "2023-11-14T22:13:20Z"
    assert (after["state"], after["disabled_reason"], after["failing_since"]) == ("enabled", None, None)


def test_a_removed_webhook_is_gone(world: World) -> None:
    hook_id = created(world)["id"]

    assert world.client.delete(f"/v1/webhooks/{hook_id}").status_code == 204
    assert world.client.get(f"/v1/webhooks/{hook_id}").json()["code"] == "webhook_not_found"


def test_for_a_day_the_secret_before_signs_too(world: World) -> None:
    hook = created(world)

    renewed = [world.client.post(f"/v1/webhooks/{hook['id']}/secret").json() for _ in range(2)]

    secrets = [hook["secret"], *(each["secret"] for each in renewed)]
    kept = world.hooks.hooks["default", hook["id"]]
    assert len(set(secrets)) == 3
    assert [each.value for each in kept.secrets] == secrets[:0:-1]  # the first does not sign any more
    assert renewed[1]["previous_until"] is not None
    assert kept.signing(now=kept.created_at) == secrets[:0:-1]
    assert kept.signing(now=kept.created_at + 25 * 3600) == [secrets[-1]]


def test_there_may_not_be_too_many(world: World) -> None:
    for _ in range(MOST_WEBHOOKS):
        created(world)

    answer = world.client.post("/v1/webhooks", json={"url": URL})

    assert (answer.status_code, answer.json()["code"], answer.json()["limit"]) == (409, "too_many_webhooks", 20)


def test_a_test_is_among_the_deliveries_and_may_be_sent_again(world: World) -> None:
    hook_id = created(world)["id"]
    test = world.client.post(f"/v1/webhooks/{hook_id}/test")
    delivery = test.json()
    path = f"/v1/webhooks/{hook_id}/deliveries"

    assert (test.status_code, delivery["type"], delivery["state"]) == (202, "webhook.test", "waiting")
    assert world.client.get(path).json() == {"deliveries": [delivery]}
    assert world.client.post(f"{path}/{delivery['id']}/redeliver").status_code == 202
    assert world.client.post(f"{path}/evt_none/redeliver").json()["code"] == "delivery_not_found"


def test_a_job_brings_its_own_url_along_once_there_is_a_secret(world: World) -> None:
    body = {"text": "Hello", "webhook_url": URL, "webhook_events": ["job.failed"]}
    refused = world.client.post("/v1/jobs", json=body)
    first, second = jobs_secret(world), jobs_secret(world)
    accepted = world.client.post("/v1/jobs", json=body)

    assert (refused.status_code, refused.json()["code"]) == (422, "no_webhook_secret")
    assert first["previous_until"] is None
    assert second["previous_until"] is not None
    assert accepted.status_code == 202
    job = world.records.jobs[accepted.json()["id"]]
    assert (job.webhook_url, job.webhook_events) == (URL, ("job.failed",))
    assert URL not in accepted.text  # it may hold a secret, and other webhooks are told the job as it is shown


def test_events_without_a_url_are_told_to_nobody(world: World) -> None:
    answer = world.client.post("/v1/jobs", json={"text": "Hello", "webhook_events": ["job.failed"]})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_value")


def test_what_stands_for_the_urls_of_jobs_has_no_url(world: World) -> None:
    jobs_secret(world)

    assert world.client.get("/v1/webhooks").json() == {"webhooks": []}
    assert world.client.get("/v1/webhooks/jobs").json()["url"] == ""
    assert world.client.get("/v1/webhooks/jobs/deliveries").json() == {"deliveries": []}
    assert world.client.patch("/v1/webhooks/jobs", json={"url": URL}).status_code == 404
    assert world.client.post("/v1/webhooks/jobs/test").status_code == 404


def test_openapi_documents_what_is_sent(world: World) -> None:
    document = world.client.get("/openapi.json").json()

    sent = document["webhooks"]["job.ended"]["post"]
    assert [each["name"] for each in sent["parameters"]] == ["webhook-id", "webhook-timestamp", "webhook-signature"]
    assert "JobEnded" in str(sent["requestBody"])
