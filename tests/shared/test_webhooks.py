"""What is sent to webhooks and how it is signed, beside the official clients' own check."""

import base64
import json
import time
from dataclasses import replace

import pytest
from openai import InvalidWebhookSignatureError, OpenAI

from shared.jobs import Audio, Failure, Job, JobState, Lane, SpeechRequest
from shared.webhooks import (
    EVENT_TYPES,
    GRACE_SECONDS,
    KEEP_ATTEMPTS,
    OF_JOBS,
    RETRY_SECONDS,
    Attempt,
    Delivery,
    DeliveryState,
    Event,
    Secret,
    Webhook,
    dump,
    load_delivery,
    load_webhook,
    new_secret,
    signatures,
    told,
    wanting,
)

JOB = Job("job-1", Lane.BULK, 5, 1_000.5, state=JobState.SUCCEEDED, finished_at=1_002.25, metadata={"book": "四十二"})
REQUEST = SpeechRequest("", "hum", "neutral", 1.0, 1.0, "wav", 16_000, 7)
AUDIO = Audio("address", "audio/address.wav", 10, 1.5, 16_000, "wav", "0" * 64)
EVENT = Event("evt_1", "job.succeeded", 1_002.25, "acme", JOB, REQUEST, AUDIO)
HOOK = Webhook("wh_1", "acme", "https://hooks.example/", EVENT_TYPES, (Secret("whsec_AAAA"),), 1.0)
DELIVERY = Delivery("evt_1", "wh_1", "acme", "job.succeeded", "job-1", 100.0, next_at=100.0)
FINE, BAD = Attempt(100.0, 0.1, 200), Attempt(100.0, 0.1, 500, "it answered 500")


def verify(body: bytes, headers: dict[str, str], secret: str) -> None:
    OpenAI(api_key="none").webhooks.verify_signature(body.decode(), headers, secret=secret)


def signed(body: bytes, *secrets: str, at: float | None = None) -> dict[str, str]:
    now = int(at or time.time())
    signature = signatures("evt_1", now, body, secrets)
    return {"webhook-id": "evt_1", "webhook-timestamp": str(now), "webhook-signature": signature}


def test_a_signature_is_as_the_standard_has_it() -> None:
    """The example of standardwebhooks.com's own test suite."""
    found = signatures(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )

    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_openais_client_believes_what_is_signed_and_nothing_else() -> None:
    secret, body = new_secret(), EVENT.body()

    verify(body, signed(body, secret), secret)
    for wrong_body, headers, theirs in [
        (body + b" ", signed(body, secret), secret),
        (body, signed(body, new_secret()), secret),
        (body, signed(body, secret) | {"webhook-id": "evt_2"}, secret),
        (body, signed(body, secret, at=time.time() - 600), secret),
    ]:
        with pytest.raises(InvalidWebhookSignatureError):
            verify(wrong_body, headers, theirs)


def test_while_a_secret_is_renewed_either_is_believed() -> None:
    before = replace(HOOK, secrets=(Secret(new_secret()),))
    after = before.with_new_secret(now=1000)
    body, (new, old) = EVENT.body(), (after.secrets[0].value, before.secrets[0].value)

    for secret in (new, old):
        verify(body, signed(body, *after.signing(now=1000 + GRACE_SECONDS - 1)), secret)
    with pytest.raises(InvalidWebhookSignatureError):
        verify(body, signed(body, *after.signing(now=1000 + GRACE_SECONDS)), old)
    assert [one.value for one in after.with_new_secret(now=2000).secrets[1:]] == [new]


def test_a_secret_has_256_random_bits() -> None:
    first, second = new_secret(), new_secret()

    assert len(base64.b64decode(first.removeprefix("whsec_"), validate=True)) == 32
    assert first != second


def test_a_body_is_the_same_at_each_try() -> None:
    body = json.loads(EVENT.body())

    assert EVENT.body() == EVENT.body()
    assert body["type"] == "job.succeeded"
    assert body["timestamp"] == "1970-01-01T00:16:42.250000Z"
    assert body["data"]["metadata"] == {"book": "四十二"}
    assert (body["data"]["result"]["url"], body["data"]["result"]["bytes"]) == (None, 10)


def test_only_the_end_of_a_job_is_told() -> None:
    running = replace(JOB, state=JobState.RUNNING)
    failed = JOB.failed(Failure("engine_failed", "it broke"), now=5)

    assert told(None, running, now=1) == told(running, running, now=1) == told(JOB, JOB, now=1) == {}
    assert "job.failed" in str(told(running, failed, now=1))
    assert "job.expired" in str(told(JOB, JOB.expired(now=9), now=9))


def test_who_is_told_is_who_wants_it_and_is_not_disabled() -> None:
    hooks = [HOOK, replace(HOOK, id="wh_2", events=("job.failed",)), replace(HOOK, id="wh_3", disabled="it is gone")]
    own = replace(EVENT, job=replace(JOB, webhook_url="https://mine.example/"))
    other = replace(EVENT, job=replace(JOB, webhook_url="https://mine.example/", webhook_events=("job.failed",)))

    assert wanting(EVENT, hooks) == wanting(other, hooks) == ["wh_1"]
    assert wanting(own, hooks) == ["wh_1", OF_JOBS]


def test_a_delivery_is_tried_for_three_days_and_given_up() -> None:
    delivery, waits = DELIVERY, list[float]()
    while delivery.state is DeliveryState.WAITING:
        delivery = delivery.tried(BAD, delays=RETRY_SECONDS)
        waits += [delivery.next_at - BAD.at] if delivery.next_at else []

    assert tuple(waits) == RETRY_SECONDS
    assert (delivery.state, delivery.tries, len(delivery.attempts)) == (DeliveryState.FAILED, 10, 10)
    assert 3 < sum(waits) / 86400 < 4


def test_a_delivery_that_is_taken_is_done() -> None:
    done = DELIVERY.tried(BAD, delays=[5]).tried(FINE, delays=[5])

    assert (done.state, done.next_at, done.attempts) == (DeliveryState.SUCCEEDED, None, (BAD, FINE))


def test_the_receiver_may_wish_for_more_time() -> None:
    assert DELIVERY.tried(BAD, delays=[5], wait_seconds=60).next_at == 160
    assert DELIVERY.tried(BAD, delays=[300], wait_seconds=60).next_at == 400


def test_what_was_given_up_is_tried_again_as_often() -> None:
    given_up = DELIVERY.tried(BAD, delays=[])

    again = given_up.again(now=500)

    assert (again.state, again.next_at, again.attempts) == (DeliveryState.WAITING, 500, (BAD,))
    assert again.tried(BAD, delays=[5]).state is DeliveryState.WAITING


def test_a_history_is_bounded() -> None:
    delivery = DELIVERY
    for number in range(KEEP_ATTEMPTS + 5):
        delivery = delivery.tried(replace(BAD, at=float(number)), delays=[1] * 100)

    assert [one.at for one in delivery.attempts] == [*range(5, KEEP_ATTEMPTS + 5)]


def test_records_come_back_as_they_were() -> None:
    delivery = DELIVERY.tried(BAD, delays=[5])
    hook = replace(HOOK, failing_since=12.5, disabled="it is gone", description="unsere")

    assert load_delivery(dump(delivery)) == delivery
    assert load_webhook(dump(hook), failing_since="12.5", disabled="it is gone") == hook
    assert "it is gone" not in dump(hook)  # the workers write that, elsewhere
