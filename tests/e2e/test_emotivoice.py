"""The emotivoice engine through the whole service: a small random model in a real model folder, real processes."""

import json
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from audio.encoding import decode
from cli.stack.process import wait_ready
from shared.jobs import Lane
from tests.api import Api, Json, metric
from tests.e2e.conftest import Product, running_product
from tests.e2e.test_up import Up
from tests.waiting import wait_for
from tests.worker.engine.emotivoice.small import SIZES, VOICES, WORDS, small_files
from tests.worker.engine.emotivoice.tiny import TEXT, TinyModel
from tests.worker.engine.emotivoice.tokenlist import TOKENS
from worker.bootsteps import LOAD_FAILED
from worker.engine.emotivoice.conversion import convert

pytestmark = pytest.mark.e2e

CPU = {"EMOTIVOICE_ENGINE": "emotivoice", "EMOTIVOICE_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
TEXTS = {
    "Chinese": "你好！今天天气真好，我们一起去公园散步吧。",
    "English": "Hello! This is a model that hums, and it hums every word.",
    "mixed": "我们用 RabbitMQ 排队，用 Redis 记录，花了12.5%的时间。",
}
LONG = "今天天气真好，我们一起去公园散步吧。The sun is out, and everybody is happy. " * 12
TABLE = "| ID | Voice Name | Gender | Description |\n|--|--|--|--|\n" + "".join(
    f"| {voice.id} | {voice.name} | {voice.gender[0].upper()} | speaks as a test |\n" for voice in VOICES
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A converted folder, made as a user makes it of official files; only its networks are small."""
    folder = tmp_path_factory.mktemp("model")
    weights = small_files().weights
    official = TinyModel(
        folder / "official",
        generator={_official_name(name): each for name, each in weights.items() if not name.startswith("style.")},
        style={_official_name(name): each for name, each in weights.items() if name.startswith("style.")},
        texts={
            f"{TEXT}/tokenlist": "\n".join(TOKENS),
            f"{TEXT}/speaker2": "\n".join(voice.id for voice in VOICES),
            f"{TEXT}/README.md": TABLE,
            "WangZeJun/simbert-base-chinese/vocab.txt": "\n".join(WORDS) + "\n",
        },
    )
    convert(official.write(), folder / "converted", sizes=SIZES)
    return folder / "converted"


def _official_name(name: str) -> str:
    network, _, rest = name.partition(".")
    return {"acoustic": "am.", "vocoder": "generator.", "style": "module.bert."}[network] + rest


@pytest.fixture(scope="module")
def humming(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The service with that model on the CPU."""
    folder = tmp_path_factory.mktemp("humming")
    with running_product(folder, **CPU, EMOTIVOICE_MODEL_DIR=str(model)) as running:
        yield running


def timings(product: Product, job: Json) -> tuple[list[Json], list[Json]]:
    found = product.api.http.get(job["result"]["timings"]).json()
    return found["words"], found["phonemes"]


def test_the_catalogue_is_that_of_the_model(humming: Product) -> None:
    catalogue = humming.api.http.get("/v1/voices").json()
    emotions = humming.api.http.get("/v1/emotions").json()

    assert (catalogue["engine"], catalogue["sample_rate"], catalogue["default"]) == ("emotivoice", 16_000, "8051")
    assert catalogue["voices"][0] == {
        "id": "8051",
        "name": "Maria Kasper",
        "languages": ["en", "zh"],
        "gender": "female",
        "description": "speaks as a test",
    }
    assert [voice["id"] for voice in catalogue["voices"]] == ["8051", "985", "92"]
    assert (catalogue["blends"], set(catalogue["controls"])) == (
        True,
        {"pitch_shift", "pitch_scale", "energy_shift", "energy_scale"},
    )
    assert emotions["free_text"]
    assert {"neutral", "happy", "angry"} <= set(emotions["emotions"])


@pytest.mark.parametrize("language", TEXTS)
def test_a_text_becomes_audio_without_a_warning(humming: Product, language: str) -> None:
    job = humming.api.spoken(TEXTS[language])

    heard = decode(humming.api.audio(job["id"]))
    assert job["result"]["warnings"] == []
    assert heard.sample_rate == 16_000
    assert heard.seconds == pytest.approx(job["result"]["seconds"])
    assert heard.seconds > 1
    assert np.std(heard.samples) > 1e-3


def test_words_and_phonemes_are_timed(humming: Product) -> None:
    job = humming.api.spoken("你好, hello. 世界。")

    words, phonemes = timings(humming, job)
    assert [word["word"] for word in words] == ["你好", "hello", "世界"]
    assert {"[HH]", "i3", "sh"} <= {phoneme["phoneme"] for phoneme in phonemes}
    for one, next_one in (*pairwise(words), *pairwise(phonemes)):
        assert one["start"] <= one["end"] <= next_one["start"] + 1e-3
    assert phonemes[-1]["end"] == pytest.approx(job["result"]["seconds"], abs=2e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {"voice": "985"},
        {"voice": "george"},
        {"voice": "8051*0.7+985*0.3"},
        {"emotion": "happy"},
        {"emotion": "用悲伤的语气说"},
        {"emotion": "happy", "emotion_strength": 0.5},
        {"pitch_shift": 3.0, "energy_shift": -6.0},
        {"pitch_scale": 0.0, "energy_scale": 2.0},
        {"text": "你[好](/hao4/)，世界。"},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_what_is_asked_for_is_heard(humming: Product, changes: Json) -> None:
    plain = humming.api.spoken("你好，世界。")

    other = humming.api.spoken(**{"text": "你好，世界。", **changes})

    first, second = (decode(humming.api.audio(job["id"])).samples for job in (plain, other))
    assert other["result"]["warnings"] == []
    assert not np.array_equal(first, second)


def test_a_blend_is_told_as_it_was_understood(humming: Product) -> None:
    job = humming.api.spoken("你好。", voice="maria kasper*0.7 + 985*0.3")

    assert job["request"]["voice"] == "8051*0.7+985*0.3"


def test_speed_is_the_length(humming: Product) -> None:
    usual, fast = (humming.api.spoken(TEXTS["Chinese"], speed=speed)["result"]["seconds"] for speed in (1.0, 2.0))

    assert fast == pytest.approx(usual / 2, rel=0.2)


def test_an_inline_phoneme_is_spoken_and_a_wrong_one_is_named(humming: Product) -> None:
    right = humming.api.spoken("[行](/xing2/)吗？")
    wrong = humming.api.finished(humming.api.submit("你好。[行](/nope/)吗？再见。"))

    assert "x" in {phoneme["phoneme"] for phoneme in timings(humming, right)[1]}
    assert (wrong["state"], wrong["error"]["code"]) == ("failed", "unspeakable_text")
    assert "'nope'" in wrong["error"]["message"]


def test_a_long_text_is_spoken_in_segments(humming: Product) -> None:
    job = humming.api.finished(humming.api.submit(LONG, lane="bulk", format="flac"), seconds=120)

    assert job["state"] == "succeeded", job
    assert job["progress"]["segments_total"] >= 2
    words, phonemes = timings(humming, job)
    assert sum(word["word"] == "公园" for word in words) == 12
    starts = [word["start"] for word in words]
    assert starts == sorted(starts)
    assert phonemes[-1]["end"] <= job["result"]["seconds"] + 2e-3
    assert decode(humming.api.audio(job["id"])).seconds == pytest.approx(job["result"]["seconds"], abs=0.05)


def test_a_character_that_no_voice_reads_is_told(humming: Product) -> None:
    job = humming.api.spoken("你好カ世界。")

    (warning,) = job["result"]["warnings"]
    assert "'カ' (KATAKANA LETTER KA)" in warning


def test_a_sentence_that_no_voice_reads_is_left_out_and_told(humming: Product) -> None:
    job = humming.api.spoken("你好。ありがとう。世界。")

    assert [word["word"] for word in timings(humming, job)[0]] == ["你好", "世界"]
    (warning,) = job["result"]["warnings"]
    assert "'ありがとう。'" in warning


def test_a_segment_that_no_voice_reads_is_left_out_of_a_long_text(humming: Product) -> None:
    foreign = "ありがとうございます。" * 14
    text = f"{LONG}\n\n{foreign}\n\n{LONG}"

    job = humming.api.finished(humming.api.submit(text, lane="bulk"), seconds=120)

    assert job["state"] == "succeeded", job
    assert sum(word["word"] == "公园" for word in timings(humming, job)[0]) == 24
    assert any("ありがとうございます" in warning for warning in job["result"]["warnings"])


@pytest.mark.parametrize("text", ["ありがとう。", "ありがとう。" * 60])
def test_a_text_of_which_nothing_sounds_fails(humming: Product, text: str) -> None:
    job = humming.api.finished(humming.api.submit(text))

    assert (job["state"], job["error"]["code"]) == ("failed", "unspeakable_text")
    assert "HIRAGANA" in job["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"voice": "8052"}, "unknown_voice"),
        ({"voice": "8051+8052"}, "unknown_voice"),
        ({"voice": "8051*0+985"}, "invalid_blend"),
        ({"pitch_shift": 13}, "out_of_range"),
    ],
)
def test_what_the_model_has_not_is_refused_at_once(humming: Product, fields: Json, code: str) -> None:
    answer = humming.api.post("你好。", **fields)

    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_the_same_words_are_spoken_once(humming: Product) -> None:
    text = "This is spoken only once."
    first, second = (humming.api.spoken(text, voice="92", emotion="sad") for _ in range(2))

    assert first["usage"]["engine_seconds"] > 0
    assert second["usage"]["engine_seconds"] == 0
    assert first["result"]["sha256"] == second["result"]["sha256"]


def test_the_command_speaks_with_it(humming: Product, tmp_path: Path) -> None:
    humming.done("say", "你好，世界。", "--voice", "Anna", "--pitch-shift", "2", "-o", tmp_path / "hello.wav")

    assert decode((tmp_path / "hello.wav").read_bytes()).seconds > 0.3
    assert "Maria Kasper" in humming.done("voices")


def test_a_worker_tells_its_load_and_warm_up(humming: Product) -> None:
    url = f"http://127.0.0.1:{humming.fleet.health_ports[Lane.INTERACTIVE]}"

    assert metric(url, 'emotivoice_start_seconds_sum{phase="load"}') > 0
    assert metric(url, 'emotivoice_start_seconds_sum{phase="warm_up"}') > 0


def test_up_speaks_with_a_model_or_says_at_once_what_is_missing(model: Path, tmp_path: Path) -> None:
    chosen = ("--engine", "emotivoice", "--device", "cpu", "--model-dir")
    with closing(Up(tmp_path / "data", *chosen, str(model))) as up, Api(up.url) as api:
        assert api.http.get("/v1/voices").json()["engine"] == "emotivoice"
        assert api.spoken("你好。")["result"]["seconds"] > 0.2

    with closing(Up(tmp_path / "none", *chosen, str(tmp_path))) as wrong:
        assert wrong.process.wait(timeout=10) == 1
        assert wrong.text.startswith(f"error: no model is in {tmp_path}.")
        assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("folder", "sentence"),
    [("nowhere", "there is no folder"), ("", "the emotivoice engine needs a model folder: set EMOTIVOICE_MODEL_DIR")],
)
def test_a_worker_without_its_model_says_so_and_ends(
    humming: Product, tmp_path: Path, folder: str, sentence: str
) -> None:
    wrong = humming.new_worker(f"wrong-{folder}", **CPU, EMOTIVOICE_MODEL_DIR=str(tmp_path / folder) if folder else "")
    wrong.launch()
    wait_for(lambda: not wrong.running)

    assert wrong.exit_code == LOAD_FAILED
    told = [line["exception"] for line in map(json.loads, wrong.log_tail().splitlines()) if "exception" in line]
    assert any(sentence in exception.splitlines()[-1] for exception in told)


def test_the_official_files_speak_as_downloaded(humming: Product, official_model: Path) -> None:
    """600 MB of random weights in the official files: what comes out is noise, but all of it has to fit together."""
    usual = humming.fleet.workers[Lane.INTERACTIVE]
    usual.stop()
    official = humming.new_worker("official", **CPU, EMOTIVOICE_MODEL_DIR=str(official_model))
    try:
        official.launch()
        wait_ready([official])

        job = humming.api.finished(humming.api.submit("Hi! 你好。"), seconds=90)

        assert job["state"] == "succeeded", job
        assert [word["word"] for word in timings(humming, job)[0]] == ["Hi", "你好"]
        assert np.std(decode(humming.api.audio(job["id"])).samples) > 0
    finally:
        official.stop()
        usual.start()
