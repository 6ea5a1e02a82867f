"""The `emotivoice` command: speak text, look after jobs, run the service on this machine.

What takes long to import is imported by the command that needs it, so that help comes at once.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli import books, clips, dead, keys, model, speaking, tables, tenants, voices
from cli.batch import EPILOG as BATCH_EPILOG
from cli.batch import batch
from cli.book import EPILOG as BOOK_EPILOG
from cli.book import book
from cli.connection import DEFAULT_URL, AsJson, Token, Url, connected
from cli.errors import ClientError
from cli.init import EPILOG, init
from cli.plan import EPILOG as PLAN_EPILOG
from cli.plan import plan
from cli.stack.engine import Device, Engine, ModelDir
from cli.stack.up import up
from cli.wyoming import EPILOG as WYOMING_EPILOG
from cli.wyoming import wyoming
from shared.jobs import JobState

app = typer.Typer(
    help="Text to speech as a service: speak a text, look after jobs, or run it all on this machine.",
    epilog=(
        "\b\nFirst steps:\n"
        "  emotivoice up                          # in one terminal\n"
        "  emotivoice say 'Hello!' -o hello.mp3   # in another"
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: it starts faster, and reads well in a pipe
    pretty_exceptions_enable=False,
)


class Format(StrEnum):
    """The names of shared.audio_formats.FORMATS."""

    WAV = "wav"
    MP3 = "mp3"
    OPUS = "opus"
    FLAC = "flac"
    AAC = "aac"
    M4A = "m4a"


class IfCold(StrEnum):
    """What to do while no worker of the engine is warm."""

    WAIT = "wait"
    BUILTIN = "builtin"


class SayLane(StrEnum):
    """The lanes that a client may choose."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id, as `jobs` lists it.")]


def main() -> None:
    """Run the command line."""
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"emotivoice {version('emotivoice-fleet')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Text to speech as a service: speak a text, look after jobs, or run it all on this machine."""


@app.command(
    epilog=(
        "\b\nExamples:\n"
        "  emotivoice say 'Good morning!' -o morning.wav\n"
        "  emotivoice say '你好，世界' --emotion happy --speed 1.2 -o hello.mp3\n"
        "  emotivoice say -f book.txt --lane bulk -o book.m4a\n"
        "  emotivoice say 'Good morning!' --like my-voice.wav --consent -o morning.wav\n"
        "  echo 'Hello' | emotivoice say -o - --format flac > hello.flac\n\n"
        "\bExit codes: 0 written, 1 the job or the gateway failed, 2 wrong usage, 130 Ctrl-C (the job is cancelled)."
    )
)
def say(  # noqa: PLR0913, PLR0917 - the options of the command
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="Where to write the audio; - is standard output.")
    ],
    text: Annotated[str | None, typer.Argument(help="What to say; without it, standard input is read.")] = None,
    file: Annotated[
        str | None, typer.Option("-f", "--file", metavar="FILE", help="A UTF-8 text file; - is standard input.")
    ] = None,
    voice: Annotated[
        str | None, typer.Option(help="One of `emotivoice voices`: by id, or one of the engine's by name.")
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(metavar="FILE|URL", help="In place of a voice: a clip of 3 to 30 s, for this job."),
    ] = None,
    consent: clips.Consent = False,
    emotion: Annotated[str | None, typer.Option(help="One of `emotivoice emotions`.")] = None,
    emotion_strength: Annotated[float | None, typer.Option(min=0, max=2, help="0 is neutral, 1 as told.")] = None,
    speed: Annotated[float | None, typer.Option(min=0.25, max=4, help="2 is twice as fast.")] = None,
    pitch_shift: Annotated[float | None, typer.Option(min=-12, max=12, help="In semitones.")] = None,
    pitch_scale: Annotated[float | None, typer.Option(min=0, max=2, help="0 is monotonous.")] = None,
    energy_shift: Annotated[float | None, typer.Option(min=-12, max=12, help="In decibels.")] = None,
    energy_scale: Annotated[float | None, typer.Option(min=0, max=2, help="0 is evenly loud.")] = None,
    format: Annotated[Format | None, typer.Option(help="By default what the file's extension means.")] = None,
    sample_rate: Annotated[int | None, typer.Option(help="In Hz; by default the engine's own.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed gives the same audio.")] = None,
    lane: Annotated[SayLane | None, typer.Option(help="bulk for long texts that can wait.")] = None,
    if_cold: Annotated[
        IfCold | None, typer.Option(help="While no worker is warm: wait, or let the builtin engine speak.")
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Speak a text and write the audio to a file."""
    speaking.check_output(output)
    chosen = speaking.chosen_format(output, format)
    speaking.check_sample_rate(sample_rate, format=chosen)
    clips.check_like(like, voice)
    fields: dict[str, object] = {
        "text": speaking.read_text(text, file),
        "voice": voice,
        "emotion": emotion,
        "emotion_strength": emotion_strength,
        "speed": speed,
        "pitch_shift": pitch_shift,
        "pitch_scale": pitch_scale,
        "energy_shift": energy_shift,
        "energy_scale": energy_scale,
        "format": chosen,
        "sample_rate": sample_rate,
        "seed": seed,
        "lane": lane,
        "if_cold": if_cold,
    }
    agreed = like is not None and clips.agreed(said=consent)
    with connected(url, token) as client:
        speaking.speak(client, fields | (clips.brought(client, like, consent=agreed) if like else {}), output=output)


@app.command(epilog="\b\nExamples:\n  emotivoice jobs --state running\n  emotivoice jobs --limit 500 --json")
def jobs(
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """List jobs, the newest first."""
    with connected(url, token) as client:
        found = list(client.jobs(state=state, limit=limit))
    if as_json:
        tables.show_json(found)
    elif found:
        tables.show_jobs(found)
    else:
        typer.echo("there are no jobs" + (f" that are {state}" if state else ""))


@app.command(epilog="\b\nExample:\n  emotivoice status 0199f0c2-7d5e-7c3a-9b1f-3f2a4c5d6e7f --json")
def status(job_id: JobId, as_json: AsJson = False, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Show one job."""
    with connected(url, token) as client:
        job = client.job(job_id)
    (tables.show_json if as_json else tables.show_job)(job)


@app.command(
    epilog=(
        "\b\nExamples:\n"
        "  emotivoice cancel 0199f0c2-7d5e-7c3a-9b1f-3f2a4c5d6e7f\n"
        "  emotivoice cancel --remove 0199f0c2-7d5e-7c3a-9b1f-3f2a4c5d6e7f   # finished: removes its audio too"
    )
)
def cancel(
    job_id: JobId,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the job and its audio if it is finished.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Cancel a job that is not finished."""
    with connected(url, token) as client:
        job = client.job(job_id)
        if job["finished_at"] and not remove:
            raise ClientError(f"the job is {job['state']} already; --remove would remove it with its audio")
        left = client.cancel(job_id)
    typer.echo(f"{'cancelled' if left else 'removed'} job {job_id}")


@app.command(epilog="\b\nExamples:\n  emotivoice emotions\n  emotivoice say 'Great news!' --emotion happy -o news.mp3")
def emotions(as_json: AsJson = False, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """List the emotions that a text can be spoken with."""
    with connected(url, token) as client:
        found = client.emotions()
    (tables.show_json if as_json else tables.show_emotions)(found)


app.command(epilog=BOOK_EPILOG)(book)
app.command(epilog=BATCH_EPILOG)(batch)
app.add_typer(books.app, name="books")
app.add_typer(voices.app, name="voices")
app.add_typer(model.app, name="model")
app.add_typer(dead.app, name="dead")
app.add_typer(keys.app, name="keys")
app.add_typer(tenants.app, name="tenants")
app.command(epilog=WYOMING_EPILOG)(wyoming)
app.command(epilog=EPILOG)(init)
app.command(epilog=PLAN_EPILOG)(plan)

app.command(
    epilog=(
        "\b\nExamples:\n"
        "  emotivoice up\n"
        "  emotivoice up --fresh --port 0   # leaves nothing behind, any free port\n"
        "  emotivoice up --engine emotivoice --model-dir models/emotivoice\n\n"
        "\bThe engine, the model's folder and the device may also be told by EMOTIVOICE_ENGINE, EMOTIVOICE_MODEL_DIR\n"
        "and EMOTIVOICE_DEVICE. Every other setting of the workers is read from its variable."
    )
)(up)


@app.command(epilog="\b\nExample:\n  emotivoice demo   # needs nothing else running")
def demo(
    output: Annotated[Path, typer.Option(help="folder for the audio files")] = Path("demo-output"),
    data: Annotated[Path | None, typer.Option(help="data folder; default: an empty one, deleted at the end")] = None,
    engine: Engine = None,
    model_dir: ModelDir = None,
    device: Device = None,
) -> None:
    """Start the whole service, speak a few texts into a folder, check that they are audio, and stop."""
    from cli.stack.demo import demo

    demo(output=output, data=data, engine=engine, model_dir=model_dir, device=device)
