"""`emotivoice say`: real text in, real speech out, through every part of the product."""

import re
from pathlib import Path

import numpy as np
import pytest

from audio.encoding import decode
from shared.audio_formats import FORMATS
from tests.e2e.conftest import Product
from tests.e2e.sound import level_dbfs, silent_share
from worker.engine import Waveform

pytestmark = pytest.mark.e2e

HELLO = "Hello! This is the EmotiVoice fleet, and it speaks."
TEXTS = {
    "English": HELLO,
    "Chinese": "你好！今天天气真好，我们一起去公园散步吧。",
    "mixed": "我们用 RabbitMQ 排队，用 Redis 记录，再用 FastAPI 回答。",
    "numbers": "On 21 November 2026 it costs $3.50, 比去年贵12.5%。",
}


def say(product: Product, path: Path, *arguments: str, text: str = HELLO) -> Waveform:
    """Say the text into the file and return what is heard."""
    product.done("say", text, "-o", path, *arguments)
    return decode(path.read_bytes())


@pytest.mark.parametrize(("format", "rate"), [(format, rate) for format in FORMATS for rate in (16_000, 48_000)])
def test_every_format_holds_the_whole_audio_at_the_asked_rate(
    product: Product, tmp_path: Path, format: str, rate: int
) -> None:
    path = tmp_path / f"hello.{FORMATS[format].extension}"

    heard = say(product, path, "--format", format, "--sample-rate", str(rate))

    job = product.api.job(product.newest)
    assert job["result"]["bytes"] == path.stat().st_size
    assert heard.seconds == pytest.approx(job["result"]["seconds"], abs=0.15)  # frames that are filled up
    assert job["result"]["sample_rate"] == rate
    assert heard.sample_rate == (48_000 if format == "opus" else rate)  # an Opus decoder plays at 48 kHz


@pytest.mark.parametrize("language", TEXTS)
def test_speech_is_heard(product: Product, tmp_path: Path, language: str) -> None:
    heard = say(product, tmp_path / "speech.wav", text=TEXTS[language])

    assert heard.seconds > 2
    assert level_dbfs(heard) > -35
    assert silent_share(heard) < 0.6
    assert np.max(np.abs(heard.samples)) < 1


def test_more_text_takes_longer(product: Product, tmp_path: Path) -> None:
    lengths = [
        say(product, tmp_path / "speech.wav", text=" ".join(["The sun rises over the sea."] * n)).seconds
        for n in (1, 2, 4)
    ]

    assert lengths == sorted(lengths)
    assert lengths[2] > 3 * lengths[0]


def test_twice_the_speed_takes_half_the_time(product: Product, tmp_path: Path) -> None:
    text = "The quick brown fox jumps over the lazy dog and sleeps until noon"
    usual = say(product, tmp_path / "usual.wav", text=text)

    fast = say(product, tmp_path / "fast.wav", "--speed", "2", text=text)

    assert fast.seconds == pytest.approx(usual.seconds / 2, rel=0.15)


def test_an_emotion_is_heard(product: Product, tmp_path: Path) -> None:
    neutral = say(product, tmp_path / "neutral.wav")
    happy = say(product, tmp_path / "happy.wav", "--emotion", "happy")
    not_at_all = say(product, tmp_path / "not.wav", "--emotion", "happy", "--emotion-strength", "0")

    n = min(len(neutral.samples), len(happy.samples))
    assert np.max(np.abs(neutral.samples[:n] - happy.samples[:n])) > 0.05
    assert np.array_equal(neutral.samples, not_at_all.samples)


def test_voices_differ(product: Product, tmp_path: Path) -> None:
    voices = [voice["id"] for voice in product.api.http.get("/v1/voices").json()["voices"]]
    first, last = (say(product, tmp_path / f"{voice}.wav", "--voice", voice) for voice in (voices[0], voices[-1]))

    assert level_dbfs(last) > -35
    assert first.seconds != last.seconds


def test_the_same_request_is_the_same_audio(product: Product, tmp_path: Path) -> None:
    for name in ("one.mp3", "two.mp3"):
        say(product, tmp_path / name, "--seed", "7")

    assert (tmp_path / "one.mp3").read_bytes() == (tmp_path / "two.mp3").read_bytes()


def test_audio_goes_into_a_pipe(product: Product) -> None:
    ended = product.run("say", HELLO, "-o", "-", "--format", "flac")

    assert ended.returncode == 0
    assert decode(ended.stdout).seconds > 2
    assert b"wrote standard output" in ended.stderr


def test_text_comes_from_a_file_or_a_pipe(product: Product, tmp_path: Path) -> None:
    text = "这是文件里的文字。"
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    product.done("say", text, "-o", tmp_path / "argument.wav")

    product.done("say", "-f", tmp_path / "text.txt", "-o", tmp_path / "file.wav")
    product.done("say", "-o", tmp_path / "pipe.wav", stdin=text.encode())

    spoken = [(tmp_path / f"{name}.wav").read_bytes() for name in ("argument", "file", "pipe")]
    assert spoken[0] == spoken[1] == spoken[2]


def test_what_is_wrong_is_told_and_leaves_no_file(product: Product, tmp_path: Path) -> None:
    wrong = product.run("say", HELLO, "-o", tmp_path / "a.wav", "--voice", "en-slr")

    assert wrong.returncode == 1
    assert "unknown_voice" in wrong.stderr.decode()
    assert "en-slt" in wrong.stderr.decode()
    assert list(tmp_path.iterdir()) == []


def test_a_text_of_marks_fails_and_says_why(product: Product, tmp_path: Path) -> None:
    wrong = product.run("say", "?! …", "-o", tmp_path / "a.wav")

    assert wrong.returncode == 1
    assert "unspeakable_text" in wrong.stderr.decode()
    assert list(tmp_path.iterdir()) == []


def test_without_a_gateway_it_says_what_to_do(product: Product, tmp_path: Path) -> None:
    wrong = product.run("say", HELLO, "-o", tmp_path / "a.wav", "--url", "http://127.0.0.1:9")

    assert wrong.returncode == 1
    assert "emotivoice up" in wrong.stderr.decode()


def test_voices_and_emotions_are_listed(product: Product) -> None:
    assert re.search(r"en-slt.*female", product.done("voices"))
    assert "zh-female-1" in product.done("voices", "--json")
    assert "happy" in product.done("emotions")


def test_a_job_can_be_looked_at_and_removed(product: Product, tmp_path: Path) -> None:
    say(product, tmp_path / "a.wav", text="This job will be looked at.")
    job_id = product.newest

    assert job_id in product.done("jobs", "--state", "succeeded", "--limit", "1", "--json")
    assert '"state": "succeeded"' in product.done("status", job_id, "--json")
    assert "succeeded" in product.done("status", job_id)
    refused = product.run("cancel", job_id)
    assert (refused.returncode, b"--remove" in refused.stderr) == (1, True)
    assert "removed" in product.done("cancel", "--remove", job_id)
    assert b"job_not_found" in product.run("status", job_id).stderr


def test_a_long_job_can_be_cancelled(product: Product) -> None:
    job_id = product.api.submit("This story is much too long. " * 400, lane="bulk")
    product.api.running(job_id)

    assert "cancelled" in product.done("cancel", job_id)

    job = product.api.finished(job_id)
    assert (job["state"], job["result"]) == ("cancelled", None)
