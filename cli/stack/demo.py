"""`emotivoice demo`: start everything, speak a few texts, check that they are audio, stop."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import ClientError
from cli.stack.engine import Device, Engine, EngineChoice, ModelDir
from cli.stack.errors import Interrupted, StackError
from cli.stack.fleet import Fleet
from cli.stack.up import StopRequests, chosen_folder, running, say
from shared.jobs import Lane

if TYPE_CHECKING:
    from rich.table import Table

    from cli.client import Client
    from cli.stack.sound import Sound

STORY = """
Once upon a time there was a clerk who read every letter aloud. He read slowly and he read well, and people came from
far away to hear him. But the letters grew in number, and one voice was no longer enough. So he asked his friends for
help. Each of them took a page, read it, and handed it back; and when the last page was read, the letter was whole. It
did not matter who had read which page, nor in which order the pages came back, because every page had its number.

Nobody who listened could tell where one reader had stopped and the next had begun. When a reader fell ill in the
middle of a page, the page went to another. When there was nothing to read, the friends went home, and only one stayed
awake to listen at the door. That is how this fleet works: a long text is cut between sentences, its parts are spoken
by as many workers as there are, and the parts are joined in their order. No part is lost when a worker is lost, and
none is spoken twice, because every part has a name that says what is in it. You are listening to the result.
"""


@dataclass(frozen=True)
class Sample:
    """One text of the demo."""

    file: str
    language: str
    text: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])


SAMPLES = (
    Sample("english.wav", "en", "Hello! This is the EmotiVoice fleet, speaking from your own machine."),
    Sample("happy.mp3", "en", "It works on the first try! What a lovely day.", {"emotion": "happy"}),
    Sample("chinese.wav", "zh", "你好！欢迎使用语音合成服务，今天是2026年11月21日。"),
    Sample("mixed.mp3", "zh", "我们用 RabbitMQ 排队，用 Redis 记录，再用 FastAPI 回答。"),
    Sample("story.mp3", "en", STORY.strip(), {"lane": "bulk"}),
)


@dataclass(frozen=True)
class Spoken:
    """A finished sample."""

    path: Path
    sound: "Sound"
    segments: int
    seconds: float  # from submission to the finished file


def demo(
    output: Annotated[Path, typer.Option(help="folder for the audio files")] = Path("demo-output"),
    data: Annotated[Path | None, typer.Option(help="data folder; default: an empty one, deleted at the end")] = None,
    engine: Engine = None,
    model_dir: ModelDir = None,
    device: Device = None,
) -> None:
    """Start the whole service, speak a few texts into a folder, check that they are audio, and stop."""
    from rich.console import Console

    from cli.client import Client

    stop = StopRequests()
    chosen = EngineChoice(engine, model_dir, device)
    try:
        chosen.check()
        with (
            chosen_folder(data, fresh=data is None) as folder,
            running(
                Fleet(folder, watcher=stop.watcher(), worker_settings=chosen.settings()),
                discard=data is None,
            ) as fleet,
            Client(fleet.url) as client,
            stop.interrupting(),
        ):
            spoken = speak_all(fleet, client, output)
    except (StackError, ClientError, OSError) as error:
        say("stopped" if isinstance(error, Interrupted) else f"error: {error}")
        raise typer.Exit(1) from error
    Console().print(table(spoken))


def speak_all(fleet: Fleet, client: "Client", output: Path) -> list[Spoken]:
    """Submit every sample that a voice can speak, then fetch the audio of each."""
    output.mkdir(parents=True, exist_ok=True)
    catalogue = client.voices()
    voices = {language: voice_for(language, catalogue["voices"]) for language in ("en", "zh")}
    for language in (language for language, voice in voices.items() if not voice):
        say(f"no voice for {language!r}, so its texts are left out; missing: {catalogue['missing']}")
    submitted = [
        (sample, time.monotonic(), submit(client, sample, voice))
        for sample in SAMPLES
        if (voice := voices[sample.language])
    ]
    if not submitted:
        raise StackError("no text could be spoken: there is no voice at all")
    return [fetch(fleet, client, job, output / sample.file, since=since) for sample, since, job in submitted]


def voice_for(language: str, voices: list[dict[str, Any]]) -> str | None:
    """A voice that speaks the language, rather one whose own language it is."""
    speakers = [(voice["languages"], voice["id"]) for voice in voices]
    own = [voice for languages, voice in speakers if languages[0].startswith(language)]
    others = [voice for languages, voice in speakers if any(each.startswith(language) for each in languages)]
    return next(iter([*own, *others]), None)


def submit(client: "Client", sample: Sample, voice: str) -> dict[str, Any]:
    audio_format = sample.file.rpartition(".")[2]
    return client.submit(text=sample.text, voice=voice, format=audio_format, **sample.options)


def fetch(fleet: Fleet, client: "Client", job: dict[str, Any], path: Path, *, since: float) -> Spoken:
    """Wait for a job, store its audio and check it.

    Raises:
        StackError: the job failed, or what it made is not audible.
    """
    from cli.stack.sound import measure

    say(f"waiting for {path}")
    job = client.wait(job["id"])
    if job["state"] != "succeeded":
        log = fleet.workers[Lane(job["lane"])].log_tail(5)
        raise StackError(f"{path.name}: the job ended as {job['state']}: {job['error']}. The worker's log:\n{log}")
    with path.open("wb") as target:
        client.download(job["id"], target)
    segments = job["progress"]["segments_total"]
    return Spoken(path, measure(path), segments=segments, seconds=time.monotonic() - since)


def table(spoken: list[Spoken]) -> "Table":
    """What was spoken, as a table."""
    from rich.table import Table

    result = Table("file", "audio", "level", "segments", "ready after")
    for each in spoken:
        level = f"{each.sound.level_dbfs:.0f} dBFS"
        result.add_row(
            str(each.path), f"{each.sound.seconds:.1f} s", level, str(each.segments), f"{each.seconds:.1f} s"
        )
    return result
