"""The HTTP API over real speech: long texts, audio in parts, timings, and every error."""

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from audio.encoding import decode
from tests.api import Json
from tests.e2e.conftest import Product
from tests.e2e.sound import level_dbfs, longest_silence_seconds, silent_share

pytestmark = pytest.mark.e2e

PARAGRAPHS = (
    "Once upon a time there was a clerk who read every letter aloud. He read slowly and he read well, and people came "
    "from far away to hear him. But the letters grew in number, and one voice was no longer enough. So he asked his "
    "friends for help. Each of them took a page, read it, and handed it back; and when the last page was read, the "
    "letter was whole. Nobody who listened could tell where one reader had stopped and the next had begun.",
    "当一位朗读者在一页中间病倒时，这一页就交给另一位。没有东西可读的时候，朋友们就回家，只留一个人醒着，在门口倾听。"
    "这个服务就是这样工作的：长文本在句子之间被切开，各部分由所有的工人朗读，然后按顺序连接起来。"
    "你现在听到的就是结果。如果你喜欢，请告诉你的朋友们，让他们也来听一听，看看谁能找到接缝在哪里。" * 2,
)


@pytest.fixture(scope="module")
def story(product: Product) -> Json:
    """A job of more than a minute, finished."""
    return product.api.spoken("\n\n".join(PARAGRAPHS), lane="bulk", format="mp3", metadata={"book": "7"})


@pytest.fixture(scope="module")
def hello(product: Product) -> Json:
    return product.api.spoken("Hello there, this is a short one.")


def test_a_long_text_is_spoken_in_segments_and_becomes_one_audio(product: Product, story: Json) -> None:
    heard = decode(product.api.audio(story["id"]))

    assert story["progress"]["segments_total"] >= 2
    assert story["progress"]["segments_done"] == story["progress"]["segments_total"]
    assert (story["lane"], story["metadata"]) == ("bulk", {"book": "7"})
    assert heard.seconds == pytest.approx(story["result"]["seconds"], abs=0.1)
    assert heard.seconds > 60
    assert level_dbfs(heard) > -35
    assert silent_share(heard) < 0.6
    assert longest_silence_seconds(heard) < 2.5


def test_the_words_of_a_long_text_sound_one_after_the_other(product: Product, story: Json) -> None:
    words = product.api.http.get(story["result"]["timings"]).json()["words"]

    times = [moment for word in words for moment in (word["start"], word["end"])]
    assert times == sorted(times)
    assert times[-1] <= story["result"]["seconds"]
    assert [word["word"] for word in words[:4]] == ["Once", "upon", "a", "time"]


def test_the_record_is_true(product: Product, hello: Json) -> None:
    data = product.api.audio(hello["id"])

    assert hello["result"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert hello["result"]["bytes"] == len(data)
    assert hello["usage"]["characters"] == len("Hello there, this is a short one.")
    assert hello["usage"]["audio_seconds"] == pytest.approx(hello["result"]["seconds"], abs=1e-5)
    assert hello["usage"]["engine_seconds"] > 0


def test_curl_can_resume_a_download(product: Product, hello: Json) -> None:
    url = f"{product.fleet.url}{hello['result']['audio']}"

    part = subprocess.run(["curl", "-sf", "-r", "100-199", url], capture_output=True, check=True, timeout=20).stdout

    assert part == product.api.audio(hello["id"])[100:200]


def test_the_presigned_link_gives_the_audio_and_parts_of_it(product: Product, hello: Json) -> None:
    data = product.api.audio(hello["id"])
    link = hello["result"]["url"]

    whole = httpx.get(link, trust_env=False)
    part = httpx.get(link, headers={"Range": "bytes=0-43"}, trust_env=False)

    assert (whole.status_code, whole.content) == (200, data)
    assert whole.headers["Content-Type"] == "audio/wav"
    assert (part.status_code, part.content) == (206, data[:44])


def test_the_audio_names_its_file(product: Product, hello: Json) -> None:
    answer = product.api.http.head(hello["result"]["audio"])

    assert answer.headers["Content-Disposition"] == f'attachment; filename="{hello["id"]}.wav"'
    assert int(answer.headers["Content-Length"]) == hello["result"]["bytes"]


BAD: list[tuple[Json, str]] = [
    ({"text": ""}, "empty_text"),
    ({"text": " \n "}, "empty_text"),
    ({"text": "x" * 100_001}, "text_too_long"),
    ({"text": "a\x00b"}, "control_character"),
    ({"text": "hi", "voice": "en-slr"}, "unknown_voice"),
    ({"text": "hi", "emotion": "hapy"}, "unknown_emotion"),
    ({"text": "hi", "format": "mp4"}, "unknown_format"),
    ({"text": "hi", "format": "opus", "sample_rate": 44_100}, "unsupported_sample_rate"),
    ({"text": "hi", "speed": 9}, "out_of_range"),
    ({"text": "hi", "seed": -1}, "out_of_range"),
    ({"text": "hi", "speed": "fast"}, "invalid_value"),
    ({"text": "hi", "lane": "assembly"}, "invalid_value"),
    ({"text": "hi", "colour": "red"}, "unknown_field"),
    ({}, "missing_field"),
]


@pytest.mark.parametrize(("body", "code"), BAD)
def test_a_bad_request_is_a_problem(product: Product, body: Json, code: str) -> None:
    answer = product.api.http.post("/v1/jobs", json=body)

    problem = answer.json()
    assert answer.status_code == problem["status"] == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["code"] == code
    assert problem["type"] == f"urn:emotivoice:problem:{code}"
    assert problem["detail"]


JSON = {"Content-Type": "application/json"}


def _unfinished(api: Any) -> str:
    return api.submit("Nobody will ever hear this long text. " * 300, lane="bulk")


OTHER: list[tuple[str, Callable[[Any, Json], httpx.Response], int, str]] = [
    ("no json", lambda api, _: api.http.post("/v1/jobs", content=b"{text", headers=JSON), 422, "invalid_json"),
    ("too large", lambda api, _: api.http.post("/v1/jobs", content=b" " * 2_000_000), 413, "body_too_large"),
    ("no such job", lambda api, _: api.http.get("/v1/jobs/none"), 404, "job_not_found"),
    ("no such audio", lambda api, _: api.http.get("/v1/jobs/none/audio"), 404, "job_not_found"),
    ("none to delete", lambda api, _: api.http.delete("/v1/jobs/none"), 404, "job_not_found"),
    ("no such path", lambda api, _: api.http.get("/v1/none"), 404, "not_found"),
    ("no such method", lambda api, _: api.http.put("/v1/jobs"), 405, "method_not_allowed"),
    ("cursor", lambda api, _: api.http.get("/v1/jobs?cursor=x"), 400, "invalid_cursor"),
    ("state", lambda api, _: api.http.get("/v1/jobs?state=done"), 422, "invalid_value"),
    ("wait", lambda api, job: api.http.get(f"/v1/jobs/{job['id']}?wait=31"), 422, "out_of_range"),
    ("not ready", lambda api, _: api.http.get(f"/v1/jobs/{_unfinished(api)}/audio"), 409, "audio_not_ready"),
    (
        "range",
        lambda api, job: api.http.get(job["result"]["audio"], headers={"Range": "bytes=99999999-"}),
        416,
        "range_not_satisfiable",
    ),
]


@pytest.mark.parametrize(("ask", "status", "code"), [case[1:] for case in OTHER], ids=[case[0] for case in OTHER])
def test_every_other_error_is_a_problem_too(
    product: Product, hello: Json, ask: Callable[[Any, Json], httpx.Response], status: int, code: str
) -> None:
    answer = ask(product.api, hello)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    for job in product.api.http.get("/v1/jobs?state=running").json()["jobs"]:
        product.api.http.delete(f"/v1/jobs/{job['id']}")


def stored_file(product: Product, job: Json) -> Path:
    """Return the file in which the object store keeps a job's audio."""
    key = job["result"]["url"].partition("?")[0].partition("/emotivoice/")[2]
    (stored,) = (product.fleet.servers.folder.path / "s3").rglob(key.rpartition("/")[2])
    return stored


def test_audio_that_was_lost_is_made_again(product: Product) -> None:
    job = product.api.spoken("This audio will be lost.")
    stored_file(product, job).unlink()

    answer = product.api.http.get(job["result"]["audio"])

    assert (answer.status_code, answer.json()["code"]) == (503, "audio_lost")
    again = product.api.finished(job["id"])
    assert (again["state"], again["result"]["sha256"]) == ("succeeded", job["result"]["sha256"])
    assert hashlib.sha256(product.api.audio(job["id"])).hexdigest() == job["result"]["sha256"]


def test_damaged_audio_breaks_off_and_is_made_again(product: Product) -> None:
    job = product.api.spoken("One bit of this audio will be turned. " * 8, format="wav")
    stored = stored_file(product, job)
    data = bytearray(stored.read_bytes())
    data[len(data) // 2] ^= 1
    stored.write_bytes(data)

    with pytest.raises(httpx.RemoteProtocolError):
        product.api.http.get(job["result"]["audio"])

    assert product.api.finished(job["id"])["state"] == "succeeded"
    assert hashlib.sha256(product.api.audio(job["id"])).hexdigest() == job["result"]["sha256"]


def test_one_key_for_two_requests_is_a_conflict(product: Product) -> None:
    headers = {"Idempotency-Key": "e2e-key"}
    first = product.api.http.post("/v1/jobs", json={"text": "Hello."}, headers=headers).json()

    answer = product.api.http.post("/v1/jobs", json={"text": "Good bye."}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
    assert answer.json()["job_id"] == first["id"]


def test_the_api_describes_itself(product: Product) -> None:
    schema = product.api.http.get("/openapi.json").json()
    example = schema["components"]["schemas"]["JobRequest"]["examples"][0]

    assert product.api.finished(product.api.http.post("/v1/jobs", json=example).json()["id"])["state"] == "succeeded"
    assert product.api.http.get("/docs").status_code == 200
    assert json.dumps(schema)
