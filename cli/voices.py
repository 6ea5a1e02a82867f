"""`emotivoice voices`: list the voices, and make, look after and delete voices of your own."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from cli import clips, speaking, tables, voice_adapter
from cli.connection import DEFAULT_URL, AsJson, Token, Url, connected

if TYPE_CHECKING:
    from cli.voice_client import VoiceCalls


NOBODY = "-"  # as the default voice


class ListsByDefault(TyperGroup):
    """`emotivoice voices` alone, or with options alone, lists."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args and (not args[0].startswith("-") or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["list", *args])


app = typer.Typer(
    cls=ListsByDefault,
    help="List the voices, and make voices of your own from clips of 3 to 30 seconds.",
    epilog=(
        "\b\nExamples:\n"
        "  emotivoice voices\n"
        "  emotivoice voices add anna.wav --name Anna --language en --preview anna.mp3\n"
        "  emotivoice say 'Good morning!' --voice voice-0199f0c2-7d5e-7c3a-9b1f-3f2a4c5d6e7f -o morning.mp3\n"
        "  emotivoice voices delete voice-0199f0c2-7d5e-7c3a-9b1f-3f2a4c5d6e7f"
    ),
    rich_markup_mode=None,
)

VoiceId = Annotated[str, typer.Argument(metavar="ID", help="The voice's id, as `list` shows it.")]
ClipSource = Annotated[str, typer.Argument(metavar="FILE|URL", help="3 to 30 seconds of one person who speaks.")]
Name = Annotated[str | None, typer.Option(help="What you call it.")]
Language = Annotated[str | None, typer.Option(help="In which it will mostly speak, and its preview: en or zh.")]
Description = Annotated[str | None, typer.Option(help="A note for people.")]
Preview = Annotated[
    str | None, typer.Option("--preview", metavar="FILE", help="Where to write the sentence that it says, an MP3.")
]


@app.callback()
def voices() -> None:
    """List the voices, and make voices of your own from clips of 3 to 30 seconds."""


@app.command("list", epilog="\b\nExamples:\n  emotivoice voices\n  emotivoice voices --json")
def list_voices(as_json: AsJson = False, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """List the voices, your own and the engine's, and those that are missing here and why."""
    with _calls(url, token) as calls:
        catalogue = calls.catalogue()
    (tables.show_json if as_json else tables.show_voices)(catalogue)


@app.command(
    epilog=(
        "\b\nExamples:\n"
        "  emotivoice voices add anna.wav --name Anna --language en --consent --preview anna.mp3\n"
        "  emotivoice voices add https://media.example/anna.mp3 --name Anna --consent\n\n"
        "\bExit codes: 0 it can speak, 1 the clip will not do (standard error says what to do) or the gateway failed,\n"
        "2 wrong usage, 130 Ctrl-C (the voice is kept)."
    )
)
def add(  # noqa: PLR0913, PLR0917 - the options of the command
    clip: ClipSource,
    name: Name = None,
    language: Language = None,
    description: Description = None,
    consent: clips.Consent = False,
    preview: Preview = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Make a voice of your own from a clip, and wait until it can speak."""
    from cli.voice_making import finish

    _check(clip, preview)
    options = {**_said(name, language, description), "consent": clips.agreed(said=consent)}
    with _calls(url, token) as calls:
        finish(calls, calls.create(clip, options), preview)


@app.command(epilog="\b\nExample:\n  emotivoice voices replace voice-0199f0c2-7d5e-7c3a-9b1f-3f2a4c5d6e7f anna-2.wav")
def replace(  # noqa: PLR0913, PLR0917 - the options of the command
    voice_id: VoiceId,
    clip: ClipSource,
    consent: clips.Consent = False,
    preview: Preview = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Give a voice another clip. What was spoken with the former one goes."""
    from cli.voice_making import finish

    _check(clip, preview)
    options = {"consent": clips.agreed(said=consent)}
    with _calls(url, token) as calls:
        finish(calls, calls.replace(voice_id, clip, options), preview)


@app.command()
def show(voice_id: VoiceId, as_json: AsJson = False, url: Url = DEFAULT_URL, token: Token = "") -> None:
    """Show a voice of your own: its state, and what was measured of its clip."""
    with _calls(url, token) as calls:
        voice = calls.voice(voice_id)
    (tables.show_json if as_json else tables.show_own_voice)(voice)


@app.command(epilog="\b\nExample:\n  emotivoice voices edit voice-0199f0c2-7d5e-7c3a-9b1f-3f2a4c5d6e7f --name Anna")
def edit(  # noqa: PLR0913, PLR0917 - the options of the command
    voice_id: VoiceId,
    name: Name = None,
    language: Language = None,
    description: Description = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Change a voice's name, language or description."""
    changes = _said(name, language, description)
    if not changes:
        raise typer.BadParameter("there is nothing to change: give --name, --language or --description")
    with _calls(url, token) as calls:
        voice = calls.change(voice_id, changes)
    tables.show_own_voice(voice)


@app.command(epilog="\b\nExample:\n  emotivoice voices preview voice-0199f0c2-7d5e-7c3a-9b1f-3f2a4c5d6e7f -o anna.mp3")
def preview(
    voice_id: VoiceId,
    output: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="Where to write the MP3.")],
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Fetch the sentence that a voice of your own says."""
    from cli.voice_making import fetch_preview

    speaking.check_output(output)
    with _calls(url, token) as calls:
        fetch_preview(calls, voice_id, output)


@app.command(epilog="\b\nExample:\n  emotivoice voices default voice-0199f0c2-7d5e-7c3a-9b1f-3f2a4c5d6e7f")
def default(
    voice: Annotated[str, typer.Argument(metavar="VOICE", help="One of `list`; - for the service's own default.")],
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Choose who speaks your texts that name no voice."""
    with _calls(url, token) as calls:
        chosen = calls.make_default(None if voice == NOBODY else voice)
    typer.echo(f"{chosen or 'the service decides who'} speaks what names no voice")


@app.command(epilog="\b\nExample:\n  emotivoice voices delete --yes voice-0199f0c2-7d5e-7c3a-9b1f-3f2a4c5d6e7f")
def delete(
    voice_id: VoiceId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Delete a voice of your own with its clip and all that was spoken with it."""
    if not yes:
        typer.confirm(f"Delete {voice_id}, its clip and all audio that was spoken with it?", abort=True, err=True)
    with _calls(url, token) as calls:
        calls.delete(voice_id)
    typer.echo(f"deleted {voice_id}")


def _said(name: str | None, language: str | None, description: str | None) -> dict[str, Any]:
    named = {"name": name, "language": language, "description": description}
    return {name: value for name, value in named.items() if value is not None}


def _check(clip: str, preview: str | None) -> None:
    """Refuse, before anything is sent, what could not be read or written."""
    clips.check_clip(clip)
    if preview is not None:
        speaking.check_output(preview)


@contextmanager
def _calls(url: str, token: str) -> Generator["VoiceCalls"]:
    """Within the context there is a connection to the gateway; its client is loaded only now."""
    from cli.voice_client import VoiceCalls

    with connected(url, token) as client:
        yield VoiceCalls(client)


app.command(epilog=voice_adapter.EPILOG)(voice_adapter.fit_adapter)
