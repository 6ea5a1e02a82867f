"""`emotivoice book`: a book in, an audiobook out. Ctrl-C pauses, the same command goes on."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli import speaking
from cli.book_options import check_chapters, dictionary, fields_of, outputs_of, speakers_of
from cli.connection import DEFAULT_URL, Token, Url, connected

EPILOG = (
    "\b\nExamples:\n"
    "  emotivoice book novel.epub -o novel.m4b\n"
    "  emotivoice book novel.epub -o novel.m4b --voice 8051 --dialogue-voice 985 --speaker 'Anna=6671'\n"
    "  emotivoice book novel.epub -o novel.m4b -o novel.srt --chapters 1-3,5 --cover front.jpg\n"
    "  emotivoice book novel.epub -o novel.mp3.zip        # an MP3 file for each chapter\n"
    "  emotivoice book novel.epub --plan                  # only show the chapters\n\n"
    "\bIt is one book as long as the file is the same: the command again goes on where it was, speaks nothing twice,\n"
    "and keeps what an earlier one has said and this one does not. An edited file is a new book, of which only what\n"
    "differs is spoken.\n\n"
    "\bA dictionary has a line for each word: word = how it is to be said. Lines that begin with # are notes.\n\n"
    "\bExit codes: 0 written, 1 the book or the gateway failed, 2 wrong usage, 130 Ctrl-C (the book is paused)."
)


class Loudness(StrEnum):
    """What the API calls it."""

    PODCAST = "podcast"
    PODCAST_16 = "podcast-16"
    ACX = "acx"
    NONE = "none"


def book(  # noqa: PLR0913, PLR0917 - the options of the command
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="EPUB, DOCX, PDF, HTML, Markdown, text.")
    ],
    output: Annotated[
        list[str] | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where to write: .m4b, .srt, .vtt, .epub, or a ZIP of chapters: .mp3.zip, .opus.zip, .flac.zip, "
            ".wav.zip. May be given several times.",
        ),
    ] = None,
    voice: Annotated[str | None, typer.Option(help="The narrator: one of `emotivoice voices`.")] = None,
    dialogue_voice: Annotated[str | None, typer.Option(help="Speaks what stands in quotes.")] = None,
    speaker: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VOICE", help="Who speaks what NAME says. Several times.")
    ] = None,
    emotion: Annotated[str | None, typer.Option(help="One of `emotivoice emotions`.")] = None,
    speed: Annotated[float | None, typer.Option(min=0.25, max=4, help="2 is twice as fast.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed gives the same audio.")] = None,
    pause_scale: Annotated[float | None, typer.Option(min=0, max=4, help="2 makes every pause twice as long.")] = None,
    dictionary_file: Annotated[
        Path | None,
        typer.Option("--dictionary", exists=True, dir_okay=False, metavar="FILE", help="How words are to be said."),
    ] = None,
    chapters: Annotated[
        str | None, typer.Option(metavar="LIST", help="Only these, as the plan numbers them: 1-3,5. `all` for all.")
    ] = None,
    loudness: Annotated[
        Loudness | None, typer.Option(help="podcast (-19 LUFS), podcast-16, acx (Audible's rules), or none: as it is.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Instead of the file's own.")] = None,
    author: Annotated[str | None, typer.Option(help="Instead of the file's own.")] = None,
    cover: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, metavar="FILE", help="A JPEG or PNG picture.")
    ] = None,
    footnotes: Annotated[
        bool | None, typer.Option("--footnotes/--no-footnotes", help="Read footnotes, where they are referred to.")
    ] = None,
    tables: Annotated[bool | None, typer.Option("--tables/--no-tables", help="Read tables.")] = None,
    image_descriptions: Annotated[
        bool | None, typer.Option("--image-descriptions/--no-image-descriptions", help="Read what images have.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show the chapters, and speak nothing.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Make an audiobook of a book's file: chapters, cover and tags; by all workers of the lane bulk."""
    from cli import book_making

    outputs = outputs_of(output or [])
    if not (outputs or plan):
        raise typer.BadParameter("say where to write with -o FILE, or only look with --plan")
    for path in outputs.values():
        speaking.check_output(path)
        if Path(path).resolve() == file.resolve():
            raise typer.BadParameter(f"{path} is the book itself; name another file")
    check_chapters(chapters)
    voicing = {
        "voice": voice,
        "dialogue_voice": dialogue_voice,
        "speakers": speakers_of(speaker or []) or None,
        "emotion": emotion,
        "speed": speed,
        "seed": seed,
        "pause_scale": pause_scale,
        "pronunciations": dictionary(dictionary_file) if dictionary_file else None,
        "metadata": fields_of(title=title, author=author) or None,
    }
    reading = fields_of(footnotes=footnotes, tables=tables, image_descriptions=image_descriptions)
    wish = book_making.Wish(file, outputs, fields_of(**voicing), reading, chapters, cover, loudness, plan)
    with connected(url, token) as client:
        book_making.make(client, wish)
