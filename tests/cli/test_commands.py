"""The commands as a user runs them, against a gateway in memory on a loopback port."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from cli import main
from cli.stack import demo
from gateway.schemas import JobError
from shared.audio_formats import FORMATS
from tests.cli.fake_gateway import AUDIO, FakeGateway, job_status, problem, served

COMMANDS = ("say", "jobs", "status", "cancel", "voices", "emotions", "dead", "init", "up", "demo")


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def url(gateway: FakeGateway) -> Iterator[str]:
    with served(gateway) as address:
        yield address


def run(*arguments: str | Path, url: str = "http://127.0.0.1:9", stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main.app, [*map(str, arguments)], input=stdin, env={"EMOTIVOICE_URL": url})


def sent(gateway: FakeGateway) -> dict[str, object]:
    [body] = gateway.submitted.values()
    return body


def test_say_writes_the_audio_and_says_so(gateway: FakeGateway, url: str, tmp_path: Path) -> None:
    output = tmp_path / "hello.mp3"

    result = run("say", "Hello!", "-o", output, url=url)

    assert result.exit_code == 0, result.output
    assert output.read_bytes() == AUDIO
    assert result.stdout == f"wrote {output}: 1.50 s of audio, {len(AUDIO)} bytes\n"
    assert result.stderr.endswith("warning: ☺ was not spoken\n")
    assert sent(gateway) == {"text": "Hello!", "format": "mp3"}
    assert [path.name for path in tmp_path.iterdir()] == ["hello.mp3"]


def test_say_passes_every_option_on(gateway: FakeGateway, url: str, tmp_path: Path) -> None:
    options = "--voice anna --emotion happy --emotion-strength 1.5 --speed 2 --sample-rate 24000 --seed 7 --lane bulk"
    options += " --pitch-shift -2 --pitch-scale 1.5 --energy-shift 3 --energy-scale 0.5"

    run("say", "Hello!", "-o", tmp_path / "a.wav", *options.split(), url=url)

    assert sent(gateway) == {
        "text": "Hello!",
        "voice": "anna",
        "emotion": "happy",
        "emotion_strength": 1.5,
        "speed": 2.0,
        "pitch_shift": -2.0,
        "pitch_scale": 1.5,
        "energy_shift": 3.0,
        "energy_scale": 0.5,
        "format": "wav",
        "sample_rate": 24_000,
        "seed": 7,
        "lane": "bulk",
    }


def test_the_url_may_be_an_option(url: str, tmp_path: Path) -> None:
    assert run("say", "Hello!", "-o", tmp_path / "a.wav", "--url", url).exit_code == 0


def test_say_reads_a_file(gateway: FakeGateway, url: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes("\ufeff第一章。".encode())

    run("say", "-f", tmp_path / "text.txt", "-o", tmp_path / "a.wav", url=url)

    assert sent(gateway)["text"] == "第一章。"


@pytest.mark.parametrize("file", [(), ("-f", "-")])
def test_say_reads_standard_input(gateway: FakeGateway, url: str, tmp_path: Path, file: tuple[str, ...]) -> None:
    assert run("say", *file, "-o", tmp_path / "a.wav", url=url, stdin="你好".encode()).exit_code == 0

    assert sent(gateway)["text"] == "你好"


def test_say_writes_bytes_to_standard_output(gateway: FakeGateway, url: str) -> None:
    result = run("say", "Hello!", "-o", "-", url=url)

    assert result.stdout_bytes == AUDIO
    assert "1.50 s of audio" in result.stderr
    assert sent(gateway)["format"] == "wav"


@pytest.mark.parametrize(
    ("name", "format"),
    [*((f"a.{form.extension}", name) for name, form in FORMATS.items()), ("a.ogg", "opus"), ("A.WAV", "wav")],
)
def test_the_extension_tells_the_format(gateway: FakeGateway, url: str, tmp_path: Path, name: str, format: str) -> None:
    run("say", "Hello!", "-o", tmp_path / name, url=url)

    assert sent(gateway)["format"] == format


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (("Hello!", "-f", "text.txt", "-o", "a.wav"), None, "not both"),
        (("  ", "-o", "a.wav"), None, "the text is empty"),
        (("-o", "a.wav"), b"\n", "the text is empty"),
        (("-o", "a.wav"), "你好".encode("gb18030"), "standard input is not UTF-8 text (byte 0xc4 at position 0)"),
        (("-f", "nowhere.txt", "-o", "a.wav"), None, "can't read nowhere.txt: No such file or directory"),
        (("Hello!",), None, "--output"),
        (("Hello!", "-o", "a.xyz"), None, "can't tell the format of a.xyz"),
        (("Hello!", "-o", "a.mp3", "--format", "wav"), None, "a.mp3 looks like mp3, but --format says wav"),
        (("Hello!", "-o", "no-folder/a.wav"), None, "there is no folder"),
        (("Hello!", "-o", "."), None, "is a folder"),
        (("Hello!", "-o", "a.opus", "--sample-rate", "44100"), None, "opus can't have 44100 Hz; it may have 8000"),
        (("Hello!", "-o", "a.wav", "--speed", "5"), None, "less than or equal to 4"),
        (("Hello!", "-o", "a.wav", "--lane", "assembly"), None, "'interactive', 'bulk'"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], stdin: bytes | None, message: str
) -> None:
    monkeypatch.chdir(tmp_path)

    result = run("say", *arguments, stdin=stdin)

    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_a_failed_job_leaves_no_file(gateway: FakeGateway, url: str, tmp_path: Path) -> None:
    gateway.life = ["failed"]
    gateway.failure = JobError(code="worker_lost", message="the worker died in each of 3 attempts")

    result = run("say", "Hello!", "-o", tmp_path / "a.wav", url=url)

    assert result.exit_code == 1
    assert result.stderr == "error: the job job-1 is failed: the worker died in each of 3 attempts [worker_lost]\n"
    assert list(tmp_path.iterdir()) == []


def test_a_refused_text_is_told_in_the_gateway_s_words(gateway: FakeGateway, url: str, tmp_path: Path) -> None:
    gateway.refusal = problem(422, "unknown_voice", "there is no voice 'x'; nearest: anna", {})

    result = run("say", "Hello!", "--voice", "x", "-o", tmp_path / "a.wav", url=url)

    assert result.exit_code == 1
    assert result.stderr == "error: there is no voice 'x'; nearest: anna [unknown_voice]\n"


def test_a_file_that_was_there_stays_when_the_job_fails(gateway: FakeGateway, url: str, tmp_path: Path) -> None:
    gateway.life = ["failed"]
    (tmp_path / "a.wav").write_bytes(b"before")

    run("say", "Hello!", "-o", tmp_path / "a.wav", url=url)

    assert (tmp_path / "a.wav").read_bytes() == b"before"


def test_a_device_is_written_and_not_replaced(url: str) -> None:
    assert run("say", "Hello!", "-o", os.devnull, "--format", "wav", url=url).exit_code == 0

    assert Path(os.devnull).is_char_device()


def test_no_gateway_is_told_with_a_way_out() -> None:
    result = run("voices")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: no answer from http://127.0.0.1:9 ")
    assert "emotivoice up" in result.stderr


def test_ctrl_c_cancels_the_job(gateway: FakeGateway, url: str, tmp_path: Path) -> None:
    gateway.life = ["running"]
    command = [
        sys.executable,
        "-c",
        "from cli.main import main; main()",
        "say",
        "Hello!",
        "-o",
        str(tmp_path / "a.wav"),
    ]
    environment = {**os.environ, "EMOTIVOICE_URL": url}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert gateway.looked.wait(10)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=10)

    assert process.returncode == 130
    assert said == "cancelled job job-1\n"
    assert gateway.cancelled == ["job-1"]
    assert list(tmp_path.iterdir()) == []


def test_jobs_are_listed(gateway: FakeGateway, url: str) -> None:
    long_id = "0199f0c2-7d5e-7c3a-9b1f-3f2a4c5d6e7f"
    gateway.listed = [job_status(long_id, "running", done=1), job_status("other", "succeeded", done=3)]

    lines = run("jobs", url=url).stdout.splitlines()

    assert lines[0].split() == ["job", "state", "lane", "segments", "created", "audio", "voice", "format"]
    assert lines[1].split()[:4] == [long_id, "running", "interactive", "1/3"]
    assert "1.5 s" in lines[2]


def test_jobs_of_one_state_as_json(gateway: FakeGateway, url: str) -> None:
    gateway.listed = [job_status("a", "queued"), job_status("b", "failed")]

    assert [job["id"] for job in json.loads(run("jobs", "--state", "failed", "--json", url=url).stdout)] == ["b"]


def test_no_jobs(url: str) -> None:
    assert run("jobs", "--state", "failed", url=url).stdout == "there are no jobs that are failed\n"


def test_the_status_of_a_job(gateway: FakeGateway, url: str) -> None:
    shown = run("status", "job-1", url=url).stdout

    assert "queued, number 2 in the queue, 0 of 3 segments, about 4 s to go" in shown
    assert "voice anna, emotion neutral" in shown
    gateway.life = ["succeeded"]
    assert f"1.50 s, {len(AUDIO)} bytes, audio/wav" in run("status", "job-1", url=url).stdout
    assert json.loads(run("status", "job-1", "--json", url=url).stdout)["id"] == "job-1"


def test_the_status_of_no_job(url: str) -> None:
    result = run("status", "gone", url=url)

    assert (result.exit_code, result.stderr) == (1, "error: there is no job 'gone' [job_not_found]\n")


def test_cancel(gateway: FakeGateway, url: str) -> None:
    assert run("cancel", "job-1", url=url).stdout == "cancelled job job-1\n"
    assert gateway.cancelled == ["job-1"]


def test_cancel_does_not_remove_audio_unasked(gateway: FakeGateway, url: str) -> None:
    gateway.life = ["succeeded"]

    refused = run("cancel", "job-1", url=url)

    assert refused.exit_code == 1
    assert "succeeded already; --remove" in refused.stderr
    assert gateway.cancelled == []
    assert run("cancel", "job-1", "--remove", url=url).stdout == "removed job job-1\n"


def test_voices_are_listed_with_the_missing_ones(url: str) -> None:
    shown = run("voices", url=url).stdout

    assert "engine builtin, revision abc123, 16000 Hz" in shown
    assert "anna (default)" in shown
    assert "calm [really]" in shown
    assert "its model is not installed" in shown
    assert json.loads(run("voices", "--json", url=url).stdout)["default"] == "anna"


def test_emotions_are_listed(url: str) -> None:
    assert run("emotions", url=url).stdout == "neutral\nhappy\n"


def test_the_version() -> None:
    assert run("--version").stdout.startswith("emotivoice 0.")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_teaches_by_example(command: str) -> None:
    shown = run(command, "--help").stdout

    assert f"  emotivoice {command}" in shown
    assert "Example" in shown


def test_the_help_names_every_command() -> None:
    shown = run("--help").stdout

    assert all(f"  {command}  " in shown for command in COMMANDS)


def test_help_comes_at_once() -> None:
    started = time.monotonic()
    loaded = "import sys; from cli.main import app; print(*{'httpx', 'rich', 'numpy', 'av'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)

    assert shown.stdout == "\n"  # what takes long is not loaded
    assert time.monotonic() - started < 5  # a busy machine; 0.15 s on a quiet one


def test_the_formats_are_the_shared_ones() -> None:
    assert [format.value for format in main.Format] == list(FORMATS)


def test_the_demo_s_options_are_its_own() -> None:
    def options(function: object) -> list[tuple[str | None, object]]:
        app = typer.Typer()
        app.command()(function)  # type: ignore[type-var]
        return [(parameter.name, parameter.default) for parameter in typer.main.get_command(app).params]

    assert options(main.demo) == options(demo.demo)
