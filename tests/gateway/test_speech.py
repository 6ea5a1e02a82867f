"""What OpenAI's clients meet, on in-memory ports: voices, emotions, failures, and the live speech itself."""

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import anyio
import numpy as np
import pytest

from audio.encoding import encode
from audio.waveform import Waveform
from gateway.openai_voices import GENDER_OF
from gateway.settings import GatewaySettings
from gateway.streaming import Speech, SpeechEnded
from shared.jobs import Audio, Failure, Job, Lane, SpeechRequest, Step, StepState
from shared.live import LivePiece
from shared.ports import Segment
from tests.fakes import CATALOGUE
from tests.gateway.conftest import World, world_with
from tests.tokens import SECRET

RATE = 16_000


def piece(at: int, *samples: int, last: bool = False) -> LivePiece:
    return LivePiece(at, np.array(samples, "<i2").tobytes(), RATE, last)


def asked(world: World, **fields: object) -> SpeechRequest:
    """Ask for speech, and return what the job is to say."""
    world.live.usual = [piece(0, *range(2000), last=True)]
    answer = world.client.post("/v1/audio/speech", json={"input": "Hello", **fields})
    assert answer.status_code == 200, answer.text
    return world.records.requests[answer.headers["x-emotivoice-job"]]


def refused(world: World, **fields: object) -> dict[str, Any]:
    answer = world.client.post("/v1/audio/speech", json={"input": "Hello", **fields})
    assert answer.status_code == 400, answer.text
    return answer.json()["error"]


def test_one_job_serves_every_format(world: World) -> None:
    first, second = asked(world, response_format="mp3"), asked(world, response_format="pcm", sample_rate=8000)

    assert first == second
    assert (first.format, first.sample_rate) == ("flac", CATALOGUE.sample_rate)


@pytest.mark.parametrize(("name", "voice"), [("alloy", "hum"), ("Onyx", "buzz"), ("buzz", "buzz"), (None, "hum")])
def test_openai_s_names_are_voices_of_ours(world: World, name: str | None, voice: str) -> None:
    assert asked(world, voice=name).voice == voice


def test_a_voice_may_be_an_object_or_a_blend(world: World) -> None:
    assert asked(world, voice={"id": "Buzz"}).voice == "buzz"
    assert asked(world, voice="hum*0.7+buzz*0.3").voice == "hum*0.7+buzz*0.3"


def test_each_of_openai_s_voices_has_one_of_its_own_where_there_are_enough(world: World) -> None:
    genders = ["female"] * 7 + ["male"] * 7
    voices = tuple(
        {"id": f"v{n}", "name": f"V{n}", "languages": ["en"], "gender": gender} for n, gender in enumerate(genders)
    )
    world.records.announced = replace(CATALOGUE, voices=voices)

    chosen = {name: asked(world, voice=name).voice for name in GENDER_OF}

    assert len(set(chosen.values())) == len(GENDER_OF)
    assert all((int(voice[1:]) < 7) == (GENDER_OF[name] == "female") for name, voice in chosen.items())


def test_the_table_of_voices_can_be_changed() -> None:
    with world_with(GatewaySettings(openai_voices={"alloy": "buzz", "nova": "nobody"})) as world:
        assert asked(world, voice="Alloy").voice == "buzz"
        assert refused(world, voice="nova")["code"] == "unknown_voice"


def test_the_language_chooses_a_voice_that_reads_it_or_is_refused(world: World) -> None:
    assert asked(world, voice="onyx", language="zh-CN").voice == "hum"
    assert asked(world, language="en").voice == "hum"
    assert refused(world, voice="buzz", language="zh")["code"] == "unsupported_language"
    assert refused(world, language="fr")["param"] == "language"


def test_instructions_are_an_emotion(world: World) -> None:
    assert asked(world, instructions="Happy.").emotion == "happy"
    assert asked(world, instructions="").emotion == "neutral"
    assert refused(world, instructions="Like a pirate")["param"] == "instructions"
    assert refused(world, instructions="happy", emotion="happy")["code"] == "invalid_value"
    with world_with(world.settings) as free:
        free.records.announced = replace(CATALOGUE, free_text_emotion=True)
        assert asked(free, instructions="Like a pirate").emotion == "Like a pirate"


def test_what_is_null_is_left_out(world: World) -> None:
    fields = ("voice", "instructions", "response_format", "speed", "stream_format", "emotion", "seed", "language")

    request = asked(world, **dict.fromkeys(fields))

    assert (request.voice, request.emotion, request.speed, request.seed) == ("hum", "neutral", 1.0, 0)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"input": 3}', b"{}"])
def test_a_body_that_is_none_is_refused_in_their_shape(world: World, content: bytes) -> None:
    answer = world.client.post("/v1/audio/speech", content=content, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"].startswith("req_")


def test_a_queue_that_is_away_is_told_with_when_to_come_again(world: World) -> None:
    world.queue.refuses = True

    answer = world.client.post("/v1/audio/speech", json={"input": "Hello"})

    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "server_error")
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["x-should-retry"] == "true"


def test_who_is_not_known_is_told_so_in_their_shape() -> None:
    with world_with(GatewaySettings.model_validate({"jwt_secret": SECRET})) as world:
        answers = [world.client.get(path) for path in ("/v1/models", "/v1/audio/voices", "/v1/audio/speech")]
        elsewhere = world.client.get("/v1/voices")

    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert {answer.json()["error"]["code"] for answer in answers} == {"unauthorized"}
    assert all("WWW-Authenticate" in answer.headers for answer in answers)
    assert elsewhere.json()["code"] == "unauthorized"


def test_anybody_may_list_models_and_voices_where_so_set() -> None:
    with world_with(GatewaySettings.model_validate({"jwt_secret": SECRET, "public_voices": True})) as world:
        lists = [world.client.get(path).status_code for path in ("/v1/models", "/v1/audio/models", "/v1/audio/voices")]
        others = [world.client.get(path).status_code for path in ("/v1/voices", "/v1/jobs", "/v1/audio/speech")]

    assert (lists, others) == ([200, 200, 200], [401, 401, 401])


def test_a_body_that_is_too_long_is_refused_in_their_shape(world: World) -> None:
    answer = world.client.post("/v1/audio/speech", json={"input": "x" * world.settings.max_body_bytes})

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_a_failed_job_is_told_before_any_audio(world: World) -> None:
    world.live.usual = []
    world.live.failure = Failure("worker_lost", "the worker died")

    answer = world.client.post("/v1/audio/speech", json={"input": "Hello"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "worker_lost")
    assert answer.headers["x-should-retry"] == "false"


def test_events_end_with_the_failure(world: World) -> None:
    world.live.usual = [piece(0, *range(2000))]
    world.live.failure = Failure("engine_failed", "it does not speak on")

    answer = world.client.post("/v1/audio/speech", json={"input": "Hello", "stream_format": "sse"})

    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line]
    assert events[-1] == {
        "type": "error",
        "error": {"message": "it does not speak on", "type": "server_error", "param": None, "code": "engine_failed"},
    }


class Listening:
    """A job in memory and one who listens to it."""

    def __init__(self, world: World, *, segments: int = 1) -> None:
        long = segments > 1
        self.world = world
        self.job = Job("j", Lane.INTERACTIVE, 5, 0.0, long=long, segments_total=segments, stream=True)
        world.records.add(self.job, SpeechRequest("Hello", "hum", "neutral", 1, 1, "flac", RATE, 0))

    def store(self, number: int, *samples: int) -> None:
        """Finish a segment."""
        values = np.array(samples, np.float32) / np.float32(32768)
        data = encode(Waveform(values, RATE), format="flac", sample_rate=RATE)
        audio = Audio(f"a{number}", f"k{number}", len(data), 1, RATE, "flac", hashlib.sha256(data).hexdigest())
        self.world.objects.objects[audio.key] = data
        self.world.records.stored[audio.address] = audio
        self.world.records.steps["j"][str(number)] = Step(str(number), StepState.DONE, audio_address=audio.address)
        done = self.world.records.jobs["j"].segments_done + 1
        self.world.records.jobs["j"] = replace(self.world.records.jobs["j"], segments_done=done)

    def heard(self) -> list[int]:
        async def listen() -> list[int]:
            services = cast(Any, self.world.client.app).state.services
            waveforms: AsyncIterator[Waveform] = Speech("j", services).waveforms()
            return [round(float(x) * 32768) async for waveform in waveforms for x in waveform.samples]

        return anyio.run(listen)


def test_a_second_worker_s_pieces_go_on_where_the_first_one_s_ended(world: World) -> None:
    listening = Listening(world)
    world.live.pieces["j"] = [piece(0, 1, 2, 3), piece(0, 1, 2), piece(2, 3, 4), piece(4, 5), piece(5, last=True)]

    assert listening.heard() == [1, 2, 3, 4, 5]


def test_what_is_missing_of_the_live_speech_is_read_from_the_store(world: World) -> None:
    listening = Listening(world)
    world.live.pieces["j"] = [piece(0, 1, 2), piece(3, 4), piece(4, last=True)]
    listening.store(0, 1, 2, 3, 4)

    assert listening.heard() == [1, 2, 3, 4]


def test_a_job_that_was_spoken_before_is_read_from_the_store(world: World) -> None:
    listening = Listening(world)
    listening.store(0, *range(40_000 // 4))

    assert listening.heard() == list(range(10_000))


def test_segments_come_in_order_with_their_pauses(world: World) -> None:
    listening = Listening(world, segments=3)
    world.records.texts["j"] = [Segment("a", 2 / RATE), Segment("b", 1 / RATE), Segment("c", 5 / RATE)]
    world.live.pieces["j"] = [piece(0, 1, 2), piece(2, last=True)]
    listening.store(2, 5, 6)
    listening.store(1, 3, 4)

    assert listening.heard() == [1, 2, 0, 0, 3, 4, 0, 5, 6]


def test_a_job_that_ends_badly_ends_the_speech(world: World) -> None:
    listening = Listening(world, segments=2)
    world.live.pieces["j"] = [piece(0, 1, 2), piece(2, last=True)]
    world.records.jobs["j"] = world.records.jobs["j"].cancelled(now=1.0)

    with pytest.raises(SpeechEnded) as ended:
        listening.heard()
    assert ended.value.code == "job_cancelled"


def test_what_is_over_a_quota_by_itself_is_not_to_be_sent_again() -> None:
    with world_with(GatewaySettings(quota_characters_per_day=10)) as world:
        answer = world.client.post("/v1/audio/speech", json={"input": "More than ten characters."})

    assert (answer.status_code, answer.json()["error"]["type"]) == (429, "rate_limit_error")
    assert answer.headers["x-should-retry"] == "false"
    assert "Retry-After" not in answer.headers
