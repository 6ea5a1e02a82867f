"""Jobs, voices and emotions as text for people."""

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import typer

Json = dict[str, Any]

PIPE_WIDTH = 200  # columns, where there is no terminal to fit


def show_json(value: object) -> None:
    typer.echo(_json(value))


def show_jobs(jobs: list[Json]) -> None:
    rows = [
        (
            job["id"],
            job["state"],
            job["lane"],
            f"{job['progress']['segments_done']}/{job['progress']['segments_total'] or '?'}",
            local(job["created_at"]),
            f"{job['result']['seconds']:.1f} s" if job["result"] else "",
            job["request"]["voice"],
            job["request"]["format"],
        )
        for job in jobs
    ]
    _show(("job", "state", "lane", "segments", "created", "audio", "voice", "format"), rows)


def show_job(job: Json) -> None:
    """Show one job, a line for each thing that is known of it."""
    from cli.progress import described

    result, error = job["result"], job["error"]
    facts = {
        "job": job["id"],
        "state": described(job),
        "lane": job["lane"],
        "attempts": str(job["attempts"]),
        "created": local(job["created_at"]),
        "started": local(job["started_at"]),
        "finished": local(job["finished_at"]),
        "request": ", ".join(f"{name} {value}" for name, value in job["request"].items()),
        "metadata": ", ".join(f"{name}={value}" for name, value in job["metadata"].items()),
        "audio": f"{result['seconds']:.2f} s, {result['bytes']} bytes, {result['content_type']}" if result else "",
        "link": result["url"] if result else "",
        "error": f"{error['message']} [{error['code']}]" if error else "",
    }
    _show_facts(facts)


def show_voices(catalogue: Json) -> None:
    typer.echo(f"engine {catalogue['engine']}, revision {catalogue['revision']}, {catalogue['sample_rate']} Hz\n")
    rows = [
        (
            voice["id"] + (" (default)" if voice["id"] == catalogue["default"] else ""),
            voice["name"],
            " ".join(voice["languages"]),
            voice["gender"],
            voice["description"],
        )
        for voice in catalogue["voices"]
    ]
    if own := catalogue["library"]:
        typer.echo("your own:\n")
        _show(("voice", "name", "language", "state", "description"), [_own_voice(one, catalogue) for one in own])
        typer.echo("\nthe engine's:\n")
    _show(("voice", "name", "languages", "gender", "description"), rows)
    if catalogue["missing"]:
        typer.echo("\nmissing here:\n")
        _show(("voice", "why"), [(one["id"], one["reason"]) for one in catalogue["missing"]])


def _own_voice(voice: Json, catalogue: Json) -> tuple[str, ...]:
    chosen = " (default)" if voice["id"] == catalogue["default"] else ""
    return (voice["id"] + chosen, voice["name"], voice["language"], voice["state"], voice["description"])


def show_own_voice(voice: Json) -> None:
    """Show a voice of one's own: what is known of it, and what was measured of its clip."""
    consent, error = voice["consent"], voice["error"]
    facts = {
        "voice": voice["id"],
        "name": voice["name"],
        "state": voice["state"],
        "language": voice["language"],
        "description": voice["description"],
        "revision": str(voice["revision"]),
        "created": local(voice["created_at"]),
        "consent": f"stated by {consent['given_by']}, {local(consent['at'])}" if consent else "",
        "clip": ", ".join(f"{name} {value:.3g}" for name, value in voice["report"].items()),
        "preview": voice["links"]["preview"] or "",
        "error": f"{error['message']} [{error['code']}]" if error else "",
    }
    _show_facts(facts | {f"problem {n}": problem for n, problem in enumerate(voice["problems"], 1)})


def show_dead_letters(letters: list[Json]) -> None:
    rows = [
        (
            letter["id"],
            letter["queue"],
            letter["reason"],
            local(letter["died_at"]),
            letter["problem"] or f"{letter['job_state']} {letter['failure_code'] or ''}",
        )
        for letter in letters
    ]
    _show(("dead letter", "from", "reason", "when", "job"), rows)


def show_dead_letter(letter: Json) -> None:
    """Show one dead letter: what is known of it, its headers, and as much of its body as is there."""
    facts = {
        "dead letter": letter["id"],
        "from": f"{letter['queue']}, {letter['reason']}",
        "when": local(letter["died_at"]),
        "problem": letter["problem"],
        "job": f"{letter['job_state']} {letter['failure_code'] or ''}" if letter["job_state"] else "",
    }
    _show_facts(facts)
    for title, part in (("the job's record", letter["job"]), ("headers", letter["headers"])):
        if part:
            typer.echo(f"\n{title}:\n{_json(part)}")
    cut = ", of which this is the beginning" if letter["body_cut"] else ""
    typer.echo(f"\nbody, {letter['body_bytes']} bytes{cut}:\n{letter['body']}")


def show_keys(keys: list[Json]) -> None:
    rows = [
        (
            key["id"],
            key["tenant"],
            " ".join(key["scopes"]),
            local(key["created_at"]),
            "expired" if key["expired"] else local(key["expires_at"]) or "never",
            local(key["used_at"]) or "never",
            key["note"],
        )
        for key in keys
    ]
    _show(("key", "tenant", "scopes", "created", "expires", "last used", "note"), rows)


def show_emotions(emotions: Json) -> None:
    typer.echo("\n".join(emotions["emotions"]))
    if emotions["free_text"]:
        typer.echo("\nAny sentence may stand for an emotion too.")


def show_books(books: list[Json]) -> None:
    rows = [
        (
            book["id"],
            book["state"],
            book["metadata"].get("title") or book["source"]["name"],
            f"{book['estimated_minutes']:.0f} min",
            " ".join(book["formats"]),
            local(book["created_at"]),
        )
        for book in books
    ]
    _show(("book", "state", "title", "length", "editions", "created"), rows)


def show_book(book: Json) -> None:
    """Show a book: what is known of it, its chapters by their places, and its editions."""
    from cli.book_progress import described

    metadata, cost, error = book["metadata"], book["cost"], book["error"]
    spent = f"{clock(cost['engine_seconds'])} of an engine"
    left = "" if cost["engine_seconds_left"] is None else f", about {clock(cost['engine_seconds_left'])} to go"
    facts = {
        "book": book["id"],
        "state": described(book),
        "title": metadata.get("title", ""),
        "author": metadata.get("author", ""),
        "voice": book["voicing"]["voice"],
        "dialogue": book["voicing"]["dialogue_voice"],
        "length": f"{book['characters']} characters, about {clock(book['estimated_minutes'] * 60)}",
        "cost": spent + left + (f", {cost['price']:.2f} in all" if cost["price"] is not None else ""),
        "error": f"{error['message']} [{error['code']}]" if error else "",
    }
    _show_facts(facts | {f"note {n}": note for n, note in enumerate(book["notes"], 1)})
    typer.echo()
    _show(("chapter", "title", "characters", "length", "state"), [*_chapters(book)])
    if book["editions"]:
        typer.echo()
        _show(("edition", "state", "length", "bytes", "warnings"), [_edition(one) for one in book["editions"]])


def _chapters(book: Json) -> Iterator[tuple[str, ...]]:
    for place, one in enumerate(book["chapters"], 1):
        progress = f" {one['segments_done']}/{one['segments_total'] or '?'}" if one["state"] == "running" else ""
        seconds = one["audio_seconds"] or one["estimated_minutes"] * 60
        about = "" if one["audio_seconds"] else "about "
        state = (one["state"] or "") + progress if one["included"] else "left out"
        yield (str(place), one["title"], str(one["characters"]), about + clock(seconds), state)


def _edition(edition: Json) -> tuple[str, ...]:
    length = clock(edition["seconds"]) if edition["seconds"] else ""
    counted = [str(edition[name] or "") for name in ("bytes", "warnings")]
    return (edition["format"], edition["state"] or "waits", length, *counted)


def clock(seconds: float) -> str:
    """Return a length of time as 1:02:03, or 2:03."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _show_facts(facts: dict[str, str]) -> None:
    width = max(map(len, facts))
    typer.echo("\n".join(f"{name:<{width}}  {value}" for name, value in facts.items() if value))


def local(time: str | None) -> str:
    return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M:%S") if time else ""


def _show(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0, overflow="fold")  # an id is there to be copied
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    Console(width=width, markup=False, emoji=False, highlight=False).print(table)
