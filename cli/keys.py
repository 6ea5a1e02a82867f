"""`emotivoice keys`: API keys for clients that can only send a fixed bearer token, in Redis itself."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from cli import tables
from cli.servers import RedisUrl, redis_or_default, told
from shared.access import TENANT_RULE, Scope, is_tenant

if TYPE_CHECKING:
    from shared.api_keys import ApiKey, RedisApiKeys

Json = dict[str, Any]
T = TypeVar("T")

app = typer.Typer(
    help=(
        "Make, list and revoke API keys, which the gateway takes as bearer tokens where EMOTIVOICE_API_KEYS=true. "
        "Works on Redis itself, by EMOTIVOICE_REDIS_URL, so run it where the gateway runs."
    ),
    epilog=(
        "\b\nExamples:\n"
        "  emotivoice keys create --tenant radio --expires 90d --note 'the newsroom'\n"
        "  emotivoice keys list\n"
        "  emotivoice keys revoke 1f0c2a9d44be"
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)

SECONDS = {"m": 60, "h": 3600, "d": 86400}
EXIT_CODES = "\b\nExit codes: 0 done, 1 something failed or was not found, 2 wrong usage."

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of lines.")]


@app.command(
    epilog=(
        "\b\nExamples:\n"
        "  emotivoice keys create --tenant radio\n"
        "  emotivoice keys create --tenant ops --scopes admin --expires 12h\n"
        "  EMOTIVOICE_TOKEN=$(emotivoice keys create --tenant radio) emotivoice jobs\n\n"
        f"{EXIT_CODES}"
    )
)
def create(  # noqa: PLR0913, PLR0917 - the options of the command
    tenant: Annotated[str, typer.Option(metavar="NAME", help=f"Whose it is: {TENANT_RULE}.")],
    scopes: Annotated[
        str, typer.Option(metavar="SCOPES", help=f"What it grants, by spaces or commas: {', '.join(Scope)}.")
    ] = f"{Scope.SPEECH_WRITE},{Scope.JOBS_READ}",
    expires: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="For how long it is good, such as 90d, 12h, 30m.", show_default="for ever"),
    ] = None,
    note: Annotated[str, typer.Option(metavar="TEXT", help="What it is for; `keys list` shows it.")] = "",
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
) -> None:
    """Make a key and print it, this once: only its hash is kept."""
    if not is_tenant(tenant):
        raise typer.BadParameter(f"{tenant!r} is no tenant's name: {TENANT_RULE}", param_hint="--tenant")
    granted, keep_seconds = _scopes(scopes), _seconds(expires)
    with told():
        from shared.api_keys import new_key

        key, record = new_key(tenant, granted, now=time.time(), keep_seconds=keep_seconds, note=note)
        _asked(redis_url, lambda keys: keys.add(key, record))
    if as_json:
        tables.show_json({**_fields(record), "key": key})
        return
    until = f", until {tables.local(_time(record.expires_at))}" if record.expires_at else ""
    typer.echo(f"key {record.id} of {tenant}: {' '.join(granted)}{until}. It is shown this once:", err=True)
    typer.echo(key)


@app.command("list", epilog=f"\b\nExamples:\n  emotivoice keys list\n  emotivoice keys list --json\n\n{EXIT_CODES}")
def list_keys(as_json: AsJson = False, redis_url: RedisUrl = None) -> None:
    """List the keys, the oldest first; never the keys themselves. When one was last used is known to ten minutes."""
    with told():
        found = _asked(redis_url, lambda keys: keys.all())
    listed = [_fields(key, used_at) for key, used_at in found]
    if as_json:
        tables.show_json(listed)
    elif listed:
        tables.show_keys(listed)
    else:
        typer.echo("there are no keys")


@app.command(epilog=f"\b\nExample:\n  emotivoice keys revoke 1f0c2a9d44be\n\n{EXIT_CODES}")
def revoke(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="As `keys list` names them.")],
    redis_url: RedisUrl = None,
) -> None:
    """Revoke keys, for good. Gateways keep what they know of a key for 5 seconds, so it may be taken for so long."""
    missing = False
    for one in ids:
        with told():
            gone = _asked(redis_url, lambda keys, one=one: keys.revoke(one))
        if gone:
            typer.echo(f"revoked {one}")
        else:
            typer.echo(f"error: there is no key {one!r}; to see which there are: emotivoice keys list", err=True)
            missing = True
    if missing:
        raise typer.Exit(1)


def _asked(redis_url: str | None, ask: "Callable[[RedisApiKeys], Awaitable[T]]") -> T:
    async def asked() -> T:
        from shared.api_keys import RedisApiKeys

        keys = RedisApiKeys(redis_or_default(redis_url))
        try:
            return await ask(keys)
        finally:
            await keys.close()

    return asyncio.run(asked())


def _scopes(text: str) -> list[Scope]:
    names = re.split(r"[\s,]+", text.strip())
    unknown = [name for name in names if name not in set(Scope)]
    if unknown:
        raise typer.BadParameter(
            f"there is no scope {unknown[0]!r}; there are {', '.join(Scope)}", param_hint="--scopes"
        )
    return [scope for scope in Scope if scope in names]


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", text)
    if not match:
        raise typer.BadParameter(f"{text!r} is no time; write it like 90d, 12h or 30m", param_hint="--expires")
    return float(match[1]) * SECONDS[match[2]]


def _fields(key: "ApiKey", used_at: float | None = None) -> Json:
    return {
        "id": key.id,
        "tenant": key.tenant,
        "scopes": list(key.scopes),
        "created_at": _time(key.created_at),
        "expires_at": _time(key.expires_at),
        "expired": key.expired(now=time.time()),
        "used_at": _time(used_at),
        "note": key.note,
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
