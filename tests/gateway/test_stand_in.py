"""Who speaks while no worker of the engine is warm, and how a client is told."""

from dataclasses import replace

import pytest

from gateway.stand_in import alike, instead_of, language
from shared.jobs import Lane, SpeechRequest
from shared.ports import Catalogue
from tests.fakes import CATALOGUE
from tests.gateway.conftest import World

PLAIN = Catalogue(
    engine="plain",
    revision="plain-1",
    sample_rate=16_000,
    voices=(
        {"id": "slt", "name": "", "languages": ["en", "zh"], "gender": "female", "description": ""},
        {"id": "rms", "name": "", "languages": ["en", "zh"], "gender": "male", "description": ""},
        {"id": "lan", "name": "", "languages": ["zh", "en"], "gender": "female", "description": ""},
        {"id": "wei", "name": "", "languages": ["zh", "en"], "gender": "male", "description": ""},
    ),
    emotions=("neutral", "happy"),
    free_text_emotion=False,
    controls=("energy_shift",),
)
REQUEST = SpeechRequest("Good morning", "buzz", "happy", 1.0, 1.0, "wav", 16_000, 0)


@pytest.fixture
def cold(world: World) -> World:
    """Nobody of the engine is warm, and a worker of the stand-in is."""
    world.records.announced_stand_in = PLAIN
    world.records.warm["stand-in"] = Lane.STANDIN
    return world


def test_while_nobody_is_warm_a_job_that_asks_for_it_goes_to_the_stand_in(cold: World) -> None:
    answer = cold.client.post("/v1/jobs", json={"text": "Good morning", "voice": "buzz", "if_cold": "builtin"}).json()

    assert cold.queue.messages == [(answer["id"], "0", Lane.STANDIN)]
    assert answer["lane"] == "interactive"
    assert answer["request"]["voice"] == "rms"
    assert answer["stand_in"] == (
        "spoken by the engine plain with its voice rms, because no worker of humming was warm"
    )
    assert cold.records.requests[answer["id"]].voice == "rms"


def test_the_result_says_it_too(cold: World) -> None:
    job_id = cold.submit(if_cold="builtin")
    cold.succeed(job_id)

    result = cold.client.get(f"/v1/jobs/{job_id}").json()["result"]

    assert result["warnings"][0].startswith("spoken by the engine plain")
    assert result["warnings"][1:] == ["☺ was not spoken"]


def test_the_segments_of_a_long_text_go_to_the_stand_in_too(cold: World) -> None:
    job_id = cold.submit("很长的故事。" * 100, if_cold="builtin")

    job = cold.records.jobs[job_id]
    assert cold.queue.messages == [(job_id, "plan", Lane.ASSEMBLY)]
    assert [job.lane_of(step) for step in ("plan", "0", "7", "join")] == [
        Lane.ASSEMBLY,
        Lane.STANDIN,
        Lane.STANDIN,
        Lane.ASSEMBLY,
    ]


@pytest.mark.parametrize("fields", [{}, {"if_cold": "wait"}])
def test_who_does_not_ask_for_a_stand_in_waits(cold: World, fields: dict[str, str]) -> None:
    job_id = cold.submit(**fields)

    assert cold.queue.messages == [(job_id, "0", Lane.INTERACTIVE)]
    assert cold.client.get(f"/v1/jobs/{job_id}").json()["stand_in"] is None


def test_a_warm_worker_speaks_itself(cold: World) -> None:
    cold.records.warm["worker-1"] = Lane.INTERACTIVE

    job_id = cold.submit(if_cold="builtin")

    assert cold.queue.messages == [(job_id, "0", Lane.INTERACTIVE)]


def test_where_nobody_stands_in_the_job_waits(cold: World) -> None:
    del cold.records.warm["stand-in"]

    job_id = cold.submit(if_cold="builtin")

    assert cold.queue.messages == [(job_id, "0", Lane.INTERACTIVE)]


def test_what_is_wrong_with_a_request_is_told_as_if_the_engine_were_warm(cold: World) -> None:
    answer = cold.client.post("/v1/jobs", json={"text": "hi", "voice": "rms", "if_cold": "builtin"})

    assert answer.json()["code"] == "unknown_voice"


def test_a_bulk_job_has_no_stand_in(cold: World) -> None:
    answer = cold.client.post("/v1/jobs", json={"text": "hi", "lane": "bulk", "if_cold": "builtin"})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_value")
    assert "interactive lane" in answer.json()["detail"]


def test_what_the_stand_in_can_t_do_is_left_out_and_named() -> None:
    asked = replace(CATALOGUE, free_text_emotion=True)
    request = replace(REQUEST, emotion="as if in a hurry", pitch_shift=3.0, energy_shift=2.0)

    changed, said = instead_of(request, asked, PLAIN)

    assert (changed.emotion, changed.pitch_shift, changed.energy_shift) == ("neutral", 0.0, 2.0)
    assert said.endswith("was warm; without emotion, pitch_shift, which it does not have")


@pytest.mark.parametrize(
    ("text", "voice", "expected"),
    [
        ("Good morning", "hum", "slt"),
        ("Good morning", "buzz", "rms"),
        ("早上好", "hum", "lan"),
        ("早上好", "buzz", "wei"),
        ("早上好", "buzz*0.5+hum*0.5", "wei"),
        ("我用 Redis", "hum", "lan"),
        ("1, 2, 3", "hum", "slt"),
    ],
)
def test_the_voice_is_of_the_same_gender_and_at_home_in_the_text_s_language(
    text: str, voice: str, expected: str
) -> None:
    assert instead_of(replace(REQUEST, text=text, voice=voice), CATALOGUE, PLAIN)[0].voice == expected


def test_a_voice_that_can_read_the_text_matters_more_than_its_gender() -> None:
    only = replace(PLAIN, voices=({**PLAIN.voices[0], "languages": ["en"]}, PLAIN.voices[3]))

    assert alike({"gender": "female"}, only, language="zh") == "wei"


def test_one_chinese_character_weighs_as_much_as_one_english_word() -> None:
    assert language("你好 world") == "zh"
    assert language("hello big world 你好") == "en"
    assert language("!?") == "en"
