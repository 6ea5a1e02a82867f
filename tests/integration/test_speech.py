"""The route of OpenAI's API, by OpenAI's own client, on a real fleet."""

import base64
import json
import os
import signal
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import openai
import pytest

from audio.encoding import decode
from audio.waveform import Waveform
from shared.jobs import Lane
from tests.api import Json, children
from tests.integration.conftest import RunningFleet
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
SECONDS_PER_CHARACTER = 0.06  # of the engine that obeys
LONG_SENTENCE = "This is a sentence of a text that is longer than one segment may be, number {}. "


@pytest.fixture
def client(fleet: RunningFleet) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{fleet.fleet.url}/v1",
        api_key="none",
        max_retries=0,
        http_client=openai.DefaultHttpxClient(trust_env=False),
    ) as client:
        yield client


def unique(text: str) -> str:
    """Return a text that nobody has had spoken."""
    return f"{text} {uuid.uuid4().hex[:8]}."


def heard(body: bytes, format: str = "mp3", *, rate: int = 24_000) -> Waveform:
    if format == "pcm":
        return Waveform(np.frombuffer(body, "<i2").astype(np.float32) / np.float32(32768), rate)
    return decode(body)


def job_of(fleet: RunningFleet, headers: Any) -> Json:
    return fleet.api.job(headers["x-emotivoice-job"])


def newest(fleet: RunningFleet) -> Json:
    return fleet.api.http.get("/v1/jobs?limit=1").json()["jobs"][0]


def pitch(waveform: Waveform) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(waveform.samples))) * waveform.sample_rate / len(waveform.samples))


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_heard(client: openai.OpenAI, format: Any) -> None:
    text = unique("Every format has the same to say")

    answer = client.audio.speech.create(model="tts-1", voice="alloy", input=text, response_format=format)

    waveform = heard(answer.content, format)
    assert waveform.sample_rate == (48_000 if format == "opus" else 24_000)
    assert waveform.seconds == pytest.approx(len(text) * SECONDS_PER_CHARACTER, abs=0.15)
    assert pitch(waveform) == pytest.approx(220, abs=2)


def test_the_first_sentence_is_heard_before_the_second_is_spoken(fleet: RunningFleet, client: openai.OpenAI) -> None:
    fleet.gate.close()
    first = unique("This comes at once")

    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input=f"{first} And please wait with this.", response_format="pcm"
    ) as answer:
        body = answer.iter_bytes()
        begun = b""
        while len(begun) < (len(first) * SECONDS_PER_CHARACTER - 0.1) * 48_000:
            begun += next(body)
        state = job_of(fleet, answer.headers)["state"]
        fleet.gate.open()
        whole = begun + b"".join(body)

    assert state == "running"
    assert answer.headers["content-type"] == "audio/pcm;rate=24000"
    assert len(whole) > len(begun) + 48_000
    assert fleet.api.finished(answer.headers["x-emotivoice-job"])["state"] == "succeeded"


def test_what_is_streamed_is_what_is_stored(fleet: RunningFleet, client: openai.OpenAI) -> None:
    text = unique("One. Two, which is a little longer.\n\nThree")

    def ask() -> Any:
        return client.audio.speech.with_raw_response.create(
            model="emotivoice", voice="hum", input=text, response_format="wav", extra_body={"sample_rate": 16_000}
        )

    live = ask()
    stored = decode(fleet.api.audio(fleet.api.finished(live.headers["x-emotivoice-job"])["id"]))
    cached = ask()

    assert len(decode(live.content).samples) == len(stored.samples)
    assert np.max(np.abs(decode(live.content).samples - stored.samples)) < 1e-4
    assert np.max(np.abs(decode(cached.content).samples - stored.samples)) < 1e-4
    assert live.headers["x-emotivoice-job"] != cached.headers["x-emotivoice-job"]


def test_events_carry_the_audio_and_end_with_the_usage(client: openai.OpenAI) -> None:
    text = unique("Events")

    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input=text, response_format="mp3", stream_format="sse"
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line]

    *deltas, done = events
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    body = b"".join(base64.b64decode(event["audio"]) for event in deltas)
    assert decode(body).seconds == pytest.approx(len(text) * SECONDS_PER_CHARACTER, abs=0.15)
    assert done["type"] == "speech.audio.done"
    assert done["usage"]["input_tokens"] == len(text)
    assert done["usage"]["output_tokens"] == pytest.approx(20 * len(text) * SECONDS_PER_CHARACTER, abs=1)
    assert done["usage"]["total_tokens"] == done["usage"]["input_tokens"] + done["usage"]["output_tokens"]


REFUSED: list[tuple[dict[str, Any], type[openai.APIStatusError], str, str | None]] = [
    ({"input": ""}, openai.BadRequestError, "empty_text", "input"),
    ({"input": "x" * 100_001}, openai.BadRequestError, "text_too_long", "input"),
    ({"voice": "nobody"}, openai.BadRequestError, "unknown_voice", "voice"),
    ({"model": "gpt-9"}, openai.NotFoundError, "model_not_found", "model"),
    ({"speed": 5}, openai.BadRequestError, "out_of_range", "speed"),
    ({"response_format": "ogg"}, openai.BadRequestError, "invalid_value", "response_format"),
    ({"instructions": "Like a pirate."}, openai.BadRequestError, "unknown_emotion", "instructions"),
    ({"extra_body": {"emotion": "seasick"}}, openai.BadRequestError, "unknown_emotion", "emotion"),
    ({"extra_body": {"language": "fr"}}, openai.BadRequestError, "unsupported_language", "language"),
    ({"extra_body": {"sample_rate": 1234}}, openai.BadRequestError, "unsupported_sample_rate", "sample_rate"),
    ({"extra_body": {"loudness": 11}}, openai.BadRequestError, "unknown_field", "loudness"),
    ({"input": "I mumble only."}, openai.BadRequestError, "unspeakable_text", "input"),
    ({"input": "I refuse to."}, openai.InternalServerError, "engine_failed", None),
]


@pytest.mark.parametrize(("fields", "kind", "code", "param"), REFUSED, ids=[one[2] for one in REFUSED])
def test_a_failure_is_the_client_s_own_kind(
    client: openai.OpenAI, fields: dict[str, Any], kind: type[openai.APIStatusError], code: str, param: str | None
) -> None:
    asked: Any = {"model": "tts-1", "voice": "alloy", "input": unique("Hello"), **fields}
    with pytest.raises(openai.APIStatusError) as failed:
        client.audio.speech.create(**asked)

    error = failed.value
    assert (type(error), error.code, error.param) == (kind, code, param)
    assert cast(Json, error.body).keys() == {"message", "type", "param", "code"}
    assert error.request_id
    assert error.response.headers.get("x-should-retry") == ("false" if error.status_code >= 500 else None)


def test_what_fails_after_the_first_sentence_breaks_off(client: openai.OpenAI) -> None:
    text = unique("This much can be said") + " And this I refuse."

    with (
        pytest.raises(Exception, match=r"incomplete|closed"),
        client.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input=text) as answer,
    ):
        list(answer.iter_bytes())

    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=text, stream_format="sse"
    ) as answer:
        events = [json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line]
    assert [event["type"] for event in events[-2:]] == ["speech.audio.delta", "error"]
    assert events[-1]["error"]["code"] == "engine_failed"


@pytest.mark.parametrize("heard_first", [False, True], ids=["before the first audio", "while it plays"])
def test_a_client_that_goes_has_its_job_cancelled(
    fleet: RunningFleet, client: openai.OpenAI, heard_first: bool
) -> None:
    fleet.gate.close()
    text = f"{unique('Something first')} Now wait for me." if heard_first else unique("Please wait for me")
    impatient = client.with_options(timeout=openai.Timeout(1.0, read=1.0))

    with (
        pytest.raises(Exception, match=r"timed out|timeout"),
        impatient.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input=text) as answer,
    ):
        list(answer.iter_bytes())

    job_id = newest(fleet)["id"]
    assert fleet.api.job(job_id)["state"] == "running"
    wait_for(lambda: fleet.api.job(job_id)["state"] == "cancelled")


def test_a_request_that_is_sent_again_silently_is_spoken_once(fleet: RunningFleet, client: openai.OpenAI) -> None:
    fleet.gate.close()
    before = newest(fleet)["id"]
    text = unique("Please wait for both of us")
    insistent = client.with_options(timeout=openai.Timeout(1.0, read=1.5), max_retries=2)

    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(
            lambda: insistent.audio.speech.with_raw_response.create(model="tts-1", voice="alloy", input=text)
        )
        time.sleep(2.6)  # the first has timed out by then, and the second waits
        fleet.gate.open()
        answer = asked.result()

    assert answer.retries_taken == 1
    assert job_of(fleet, answer.headers)["attempts"] == 1
    newer = fleet.api.http.get("/v1/jobs?limit=5").json()["jobs"]
    assert [job["id"] for job in newer if job["id"] > before] == [answer.headers["x-emotivoice-job"]]


def test_identical_requests_in_flight_are_one_job(fleet: RunningFleet, client: openai.OpenAI) -> None:
    fleet.gate.close()
    text = unique("Please wait for all of us")

    def ask(format: Any) -> Any:
        return client.audio.speech.with_raw_response.create(
            model="tts-1", voice="alloy", input=text, response_format=format
        )

    with ThreadPoolExecutor(3) as threads:
        asked = [threads.submit(ask, format) for format in ("mp3", "mp3", "wav")]
        time.sleep(1)
        fleet.gate.open()
        answers = [one.result() for one in asked]

    assert len({answer.headers["x-emotivoice-job"] for answer in answers}) == 1
    assert answers[0].content == answers[1].content


def test_a_worker_that_is_killed_leaves_no_gap_and_no_repeat(fleet: RunningFleet, client: openai.OpenAI) -> None:
    fleet.gate.close()
    first, second = unique("This was spoken by one who died"), "Then wait. And this is by another."

    with client.audio.speech.with_streaming_response.create(
        model="tts-1",
        voice="alloy",
        input=f"{first} {second}",
        response_format="wav",
        extra_body={"sample_rate": 16_000},
    ) as answer:
        body = answer.iter_bytes()
        begun = b""
        while len(begun) < (len(first) * SECONDS_PER_CHARACTER - 0.1) * 32_000:
            begun += next(body)
        (child,) = children(fleet.fleet.workers[Lane.INTERACTIVE].pid)
        os.kill(child, signal.SIGKILL)
        time.sleep(0.2)
        fleet.gate.open()
        whole = begun + b"".join(body)

    job = fleet.api.finished(answer.headers["x-emotivoice-job"])
    assert job["attempts"] == 2
    stored = decode(fleet.api.audio(job["id"]))
    assert len(decode(whole).samples) == len(stored.samples)
    assert np.max(np.abs(decode(whole).samples - stored.samples)) < 1e-4


def test_a_long_text_is_heard_in_order_and_from_its_first_sentence_on(
    fleet: RunningFleet, client: openai.OpenAI
) -> None:
    text = unique("A long one") + " " + "".join(LONG_SENTENCE.format(n) for n in range(30))

    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=text, response_format="wav", extra_body={"sample_rate": 16_000}
    ) as answer:
        whole = answer.read()

    job = fleet.api.finished(answer.headers["x-emotivoice-job"])
    assert job["progress"]["segments_total"] > 2
    stored = decode(fleet.api.audio(job["id"]))
    assert len(decode(whole).samples) == len(stored.samples)
    assert np.max(np.abs(decode(whole).samples - stored.samples)) < 1e-4


def test_a_slow_reader_gets_everything_and_holds_up_nobody(fleet: RunningFleet, client: openai.OpenAI) -> None:
    text = unique("A slow one") + " " + "".join(LONG_SENTENCE.format(n) for n in range(60))

    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=text, response_format="pcm", extra_body={"sample_rate": 48_000}
    ) as answer:
        body = answer.iter_bytes()
        begun = next(body)
        job = fleet.api.finished(answer.headers["x-emotivoice-job"])
        started = time.monotonic()
        others = [client.audio.speech.create(model="tts-1", voice="alloy", input=unique("Quick")) for _ in range(5)]
        seconds = time.monotonic() - started
        whole = begun + b"".join(body)

    assert all(heard(other.content).seconds > 0.5 for other in others)
    assert seconds < 3
    assert len(whole) / 96_000 == pytest.approx(job["result"]["seconds"], abs=0.01)
    assert len(whole) > 20 << 20  # more than any buffer on the way would hold


# What these clients really send, headers too: open-webui's backend (it has parameters), SillyTavern's server without a
# key, LibreChat's service, Home Assistant's custom component openai_tts, first versions and later ones.
OPEN_WEBUI: Json = {"input": "", "voice": "alloy", "model": "tts-1"}
SILLY_TAVERN: Json = {"input": "", "response_format": "mp3", "voice": "nova", "speed": 1, "model": "tts-1"}
LIBRE_CHAT: Json = {"input": "", "model": "tts-1-hd", "voice": "onyx"}
HOME_ASSISTANT: Json = {"model": "tts-1", "input": "", "voice": "shimmer", "response_format": "wav", "speed": 1}
LATER_HOME_ASSISTANT: Json = {**HOME_ASSISTANT, "response_format": "mp3", "speed": 1.0, "instructions": "happy"}
STREAMING_HOME_ASSISTANT: Json = {**HOME_ASSISTANT, "response_format": "opus", "speed": 1.0}
KEY = {"Authorization": "Bearer sk-none", "Content-Type": "application/json"}
OF_OPEN_WEBUI = KEY | {
    "X-OpenWebUI-User-Name": "%E6%9D%8E",
    "X-OpenWebUI-User-Id": "1",
    "X-OpenWebUI-User-Role": "user",
}
WITHOUT_KEY = {"Authorization": "Bearer", "Content-Type": "application/json"}  # fetch takes the space after it away
OF_HOME_ASSISTANT = {"Content-Type": "application/json", "User-Agent": "HomeAssistant-OpenAI-TTS"}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(OPEN_WEBUI, OF_OPEN_WEBUI, id="open-webui"),
        pytest.param(OPEN_WEBUI | {"response_format": "wav"}, OF_OPEN_WEBUI, id="open-webui with parameters"),
        pytest.param(SILLY_TAVERN, WITHOUT_KEY, id="SillyTavern"),
        pytest.param(LIBRE_CHAT, KEY, id="LibreChat"),
        pytest.param(HOME_ASSISTANT, KEY, id="Home Assistant"),
        pytest.param(LATER_HOME_ASSISTANT, OF_HOME_ASSISTANT, id="Home Assistant, later"),
        pytest.param(STREAMING_HOME_ASSISTANT, OF_HOME_ASSISTANT, id="Home Assistant, streaming"),
    ],
)
def test_a_request_as_the_client_sends_it(fleet: RunningFleet, body: Json, headers: dict[str, str]) -> None:
    text = unique("As others ask")

    answer = fleet.api.http.post("/v1/audio/speech", json=body | {"input": text}, headers=headers)

    assert answer.status_code == 200, answer.text
    assert decode(answer.content).seconds == pytest.approx(len(text) * SECONDS_PER_CHARACTER, abs=0.15)


def test_librechat_may_join_the_bodies_of_a_text_that_it_cuts(fleet: RunningFleet) -> None:
    texts = [unique(f"Part {n} of it") for n in range(3)]

    bodies = [fleet.api.http.post("/v1/audio/speech", json=LIBRE_CHAT | {"input": text}).content for text in texts]

    seconds = sum(map(len, texts)) * SECONDS_PER_CHARACTER
    assert decode(b"".join(bodies)).seconds == pytest.approx(seconds, abs=0.4)


def test_the_lists_that_clients_ask_for(fleet: RunningFleet, client: openai.OpenAI) -> None:
    models = [model.id for model in client.models.list()]
    speech_models = fleet.api.http.get("/v1/audio/models").json()
    voices = fleet.api.http.get("/v1/audio/voices").json()["voices"]

    assert models == ["emotivoice", "obedient", "tts-1", "tts-1-hd", "gpt-4o-mini-tts"]
    assert [model["id"] for model in speech_models["models"]] == models
    assert speech_models["data"] == speech_models["models"]
    assert [(voice["id"], voice["name"]) for voice in voices] == [("hum", "Hum"), ("buzz", "Buzz")]


def test_an_unknown_path_of_openai_s_is_a_failure_in_its_shape(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as failed:
        client.audio.transcriptions.create(model="whisper-1", file=b"")

    assert failed.value.code == "not_found"
