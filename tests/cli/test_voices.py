"""`emotivoice voices` and `emotivoice say --like` against the gateway itself, whose workers are the test."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner, Result

from cli import main
from gateway.settings import GatewaySettings
from shared.jobs import JobState
from shared.voice_library import LibraryVoice, source_key
from tests.cli.fake_gateway import AUDIO, FakeGateway
from tests.cli.fake_gateway import served as served_fake
from tests.cli.serving import served
from tests.gateway.conftest import World, world_with

NOISY = "It is noisy. Record it in a quiet room, without music."
PREVIEW = b"an MP3, as it were"


@pytest.fixture
def world() -> Iterator[World]:
    with world_with(GatewaySettings()) as world:
        yield world


@pytest.fixture
def url(world: World) -> Iterator[str]:
    app = world.client.app
    assert isinstance(app, FastAPI)
    with served(app) as address:
        yield address


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "anna.wav"
    path.write_bytes(b"RIFF, as it were")
    return path


def run(*arguments: str | Path, url: str = "http://127.0.0.1:9", stdin: str = "") -> Result:
    environment = {"EMOTIVOICE_URL": url, "COLUMNS": "200"}
    return CliRunner().invoke(main.app, [*map(str, arguments)], env=environment, input=stdin)


def checked(world: World, job_id: str, step: str, *, problems: tuple[str, ...] = (), **_: object) -> None:
    """Check the clip and speak the preview as workers would, at once."""
    [voice] = [voice for voice in world.voices.store.voices.values() if voice.job == job_id]
    report = {"seconds": 8.25, "snr_db": 31.5}
    found = replace(voice, checked=voice.revision, problems=problems, report=report)
    world.voices.store.voices[voice.id] = found
    if problems:
        world.records.jobs[job_id] = replace(world.records.jobs[job_id], state=JobState.FAILED)
    else:
        world.succeed(job_id, PREVIEW)


def own(world: World) -> LibraryVoice:
    [voice] = world.voices.store.voices.values()
    return voice


@pytest.fixture
def worker(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have clips checked; a call names the problems that the next ones have."""

    def with_problems(*problems: str) -> None:
        monkeypatch.setattr(world.queue, "enqueue", partial(checked, world, problems=problems))

    with_problems()
    return with_problems


ADD = ("voices", "add")
ABOUT = ("--name", "Anna", "--language", "en", "--description", "our narrator")


@pytest.mark.usefixtures("worker")
def test_a_clip_becomes_a_voice_and_its_preview_a_file(world: World, url: str, clip: Path, tmp_path: Path) -> None:
    result = run(*ADD, clip, *ABOUT, "--consent", "--preview", tmp_path / "says.mp3", url=url)

    assert result.exit_code == 0, result.output
    voice = own(world)
    assert (voice.name, voice.language, voice.description) == ("Anna", "en", "our narrator")
    assert voice.consent is not None
    assert world.objects.objects[source_key(voice.id, 1)] == b"RIFF, as it were"
    assert "seconds 8.25, snr_db 31.5" in result.stdout
    assert (tmp_path / "says.mp3").read_bytes() == PREVIEW


def test_a_clip_that_will_not_do_is_told_with_advice(
    world: World, url: str, clip: Path, worker: Callable[..., None]
) -> None:
    worker(NOISY, "It is short.")

    result = run(*ADD, clip, "--consent", url=url)

    assert result.exit_code == 1
    assert NOISY in result.stderr
    assert "It is short." in result.stderr
    assert f"emotivoice voices replace {own(world).id} FILE" in result.stderr


@pytest.mark.usefixtures("worker")
def test_without_consent_the_gateway_refuses(world: World, url: str, clip: Path) -> None:
    result = run(*ADD, clip, url=url)

    assert result.exit_code == 1
    assert "[consent_required]" in result.stderr
    assert world.voices.store.voices == {}


@pytest.mark.parametrize(("answer", "made"), [("y\n", 1), ("n\n", 0)])
@pytest.mark.usefixtures("worker")
def test_on_a_terminal_consent_is_asked_for(
    world: World, url: str, clip: Path, monkeypatch: pytest.MonkeyPatch, answer: str, made: int
) -> None:
    monkeypatch.setattr("cli.clips.on_terminal", lambda: True)

    result = run(*ADD, clip, url=url, stdin=answer)

    assert "agreed in writing" in result.stderr
    assert len(world.voices.store.voices) == made
    assert result.exit_code == (0 if made else 2)


@pytest.mark.usefixtures("worker")
def test_voices_of_one_s_own_are_listed_before_the_engine_s(world: World, url: str, clip: Path) -> None:
    run(*ADD, clip, *ABOUT, "--consent", url=url)

    listed = run("voices", url=url).stdout

    assert listed.index(own(world).id) < listed.index("buzz")
    assert "our narrator" in listed
    [found] = json.loads(run("voices", "list", "--json", url=url).stdout)["library"]
    assert found["name"] == "Anna"


@pytest.mark.usefixtures("worker")
def test_all_pages_of_one_s_own_voices_are_listed(
    world: World, url: str, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        assert run(*ADD, clip, "--consent", url=url).exit_code == 0
    monkeypatch.setattr("cli.voice_client.PAGE", 2)

    found = json.loads(run("voices", "--json", url=url).stdout)["library"]

    assert sorted(voice["id"] for voice in found) == sorted(world.voices.store.voices)


@pytest.mark.usefixtures("worker")
def test_a_voice_is_edited_and_shown(world: World, url: str, clip: Path) -> None:
    run(*ADD, clip, *ABOUT, "--consent", url=url)
    voice_id = own(world).id

    edited = run("voices", "edit", voice_id, "--name", "Anne", url=url)

    assert edited.exit_code == 0, edited.output
    assert (own(world).name, own(world).description) == ("Anne", "our narrator")
    shown = run("voices", "show", voice_id, url=url).stdout
    assert "Anne" in shown
    assert "ready" in shown
    assert json.loads(run("voices", "show", voice_id, "--json", url=url).stdout)["id"] == voice_id


@pytest.mark.usefixtures("worker")
def test_another_clip_makes_another_revision(world: World, url: str, clip: Path) -> None:
    run(*ADD, clip, "--consent", url=url)
    clip.write_bytes(b"another")

    result = run("voices", "replace", own(world).id, clip, "--consent", url=url)

    assert result.exit_code == 0, result.output
    voice = own(world)
    assert voice.revision == 2
    assert world.objects.objects[source_key(voice.id, 2)] == b"another"


@pytest.mark.usefixtures("worker")
def test_a_preview_is_fetched(world: World, url: str, clip: Path, tmp_path: Path) -> None:
    run(*ADD, clip, "--consent", url=url)

    result = run("voices", "preview", own(world).id, "-o", tmp_path / "says.mp3", url=url)

    assert result.stdout == f"wrote {tmp_path / 'says.mp3'}: {len(PREVIEW)} bytes\n"
    assert (tmp_path / "says.mp3").read_bytes() == PREVIEW


@pytest.mark.usefixtures("worker")
def test_a_default_is_chosen_and_given_up(world: World, url: str, clip: Path) -> None:
    run(*ADD, clip, "--consent", url=url)
    voice_id = own(world).id

    assert run("voices", "default", voice_id, url=url).stdout == f"{voice_id} speaks what names no voice\n"
    assert f"{voice_id} (default)" in run("voices", url=url).stdout
    assert run("voices", "default", "-", url=url).exit_code == 0
    assert f"{voice_id} (default)" not in run("voices", url=url).stdout


@pytest.mark.parametrize(("options", "answer", "left"), [((), "n\n", 1), ((), "y\n", 0), (("--yes",), "", 0)])
@pytest.mark.usefixtures("worker")
def test_a_voice_is_deleted_when_that_is_meant(
    world: World, url: str, clip: Path, options: tuple[str, ...], answer: str, left: int
) -> None:
    run(*ADD, clip, "--consent", url=url)

    result = run("voices", "delete", own(world).id, *options, url=url, stdin=answer)

    assert result.exit_code == (1 if left else 0)
    assert sum(not voice.over for voice in world.voices.store.voices.values()) == left


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "nowhere.wav"), "nowhere.wav is no file that can be read"),
        (("add", "empty.wav"), "empty.wav is empty"),
        (("add", "anna.wav", "--preview", "no-folder/a.mp3"), "there is no folder"),
        (("edit", "voice-1"), "there is nothing to change"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_sent(
    clip: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(clip.parent)
    Path("empty.wav").touch()

    result = run("voices", *arguments)

    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_say_brings_a_clip_at_a_url(tmp_path: Path) -> None:
    gateway, where = FakeGateway(), "https://media.example/anna.mp3"

    with served_fake(gateway) as url:
        result = run("say", "Hello!", "--like", where, "--consent", "-o", tmp_path / "a.wav", url=url)

    assert result.exit_code == 0, result.output
    [sent] = gateway.submitted.values()
    assert (sent["reference_audio_url"], sent["reference_consent"]) == (where, True)
    assert (tmp_path / "a.wav").read_bytes() == AUDIO


def test_say_uploads_a_clip_past_the_gateway_and_without_its_token(clip: Path) -> None:
    gateway = FakeGateway()

    with served_fake(gateway) as url:
        result = run("say", "Hello!", "--like", clip, "--consent", "-o", clip.parent / "b.wav", "--token", "t", url=url)

    assert result.exit_code == 0, result.output
    [put] = [request for request in gateway.requests if request.method == "PUT"]
    assert put.content == clip.read_bytes()
    assert "Authorization" not in put.headers
    [sent] = gateway.submitted.values()
    assert (sent["reference_upload"], sent["reference_consent"]) == ("uploads/default/1", True)


def test_say_does_not_send_a_clip_that_is_too_large(clip: Path) -> None:
    gateway = FakeGateway()
    gateway.max_bytes = 3

    with served_fake(gateway) as url:
        result = run("say", "Hello!", "--like", clip, "--consent", "-o", clip.parent / "b.wav", url=url)

    assert (result.exit_code, gateway.submitted) == (1, {})
    assert "16 bytes; 3 may be sent" in result.stderr


def test_say_takes_a_voice_or_a_clip(clip: Path) -> None:
    result = run("say", "Hello!", "--voice", "anna", "--like", clip, "-o", clip.parent / "b.wav")

    assert result.exit_code == 2
    assert "give one of them" in result.stderr
