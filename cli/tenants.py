"""`emotivoice tenants`: limits of single tenants, in Redis itself."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from cli import tables
from cli.servers import RedisUrl, redis_or_default, told
from shared.access import TENANT_RULE, is_tenant
from shared.limits import Quota

if TYPE_CHECKING:
    from shared.tenants import RedisTenants

T = TypeVar("T")

app = typer.Typer(
    help=(
        "Set limits of single tenants, in place of the gateway's EMOTIVOICE_QUOTA_.... "
        "Works on Redis itself, by EMOTIVOICE_REDIS_URL, so run it where the gateway runs."
    ),
    epilog=(
        "\b\nExamples:\n"
        "  emotivoice tenants set radio --requests-per-second 20 --characters-per-day 2000000\n"
        "  emotivoice tenants list\n"
        "  emotivoice tenants reset radio"
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)

EXIT_CODES = "\b\nExit codes: 0 done, 1 something failed or was not found, 2 wrong usage."

Name = Annotated[str, typer.Argument(metavar="NAME", help=f"The tenant: {TENANT_RULE}.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of lines.")]


@app.command(
    "set",
    epilog=f"\b\nExample:\n  emotivoice tenants set radio --concurrent-jobs 500 --stored-bytes 0\n\n{EXIT_CODES}",
)
def set_limits(  # noqa: PLR0913, PLR0917 - the options of the command
    name: Name,
    requests_per_second: Annotated[float | None, typer.Option(min=0, help="A second's worth may come at once.")] = None,
    characters_per_day: Annotated[int | None, typer.Option(min=0, help="Of accepted texts; days are UTC's.")] = None,
    audio_seconds_per_day: Annotated[float | None, typer.Option(min=0, help="Expected, then as spoken.")] = None,
    concurrent_jobs: Annotated[int | None, typer.Option(min=0, help="Queued or running.")] = None,
    stored_bytes: Annotated[int | None, typer.Option(min=0, help="Of audio that is kept.")] = None,
    open_lines: Annotated[int | None, typer.Option(min=0, help="Of batches, that have not ended.")] = None,
    redis_url: RedisUrl = None,
) -> None:
    """Set some limits of a tenant; 0 is none, others stay. Gateways know within 5 seconds."""
    if not is_tenant(name):
        raise typer.BadParameter(f"{name!r} is no tenant's name: {TENANT_RULE}", param_hint="NAME")
    given = (requests_per_second, characters_per_day, audio_seconds_per_day, concurrent_jobs, stored_bytes, open_lines)
    new = {str(quota): value for quota, value in zip(Quota, given, strict=True) if value is not None}
    if not new:
        raise typer.BadParameter("name at least one limit, such as --characters-per-day 100000")

    async def change(tenants: "RedisTenants") -> dict[str, float]:
        own = await tenants.own(name) | new
        await tenants.set(name, own)
        return own

    with told():
        typer.echo(_line(name, _asked(redis_url, change)))


@app.command("list", epilog=f"\b\nExamples:\n  emotivoice tenants list --json\n\n{EXIT_CODES}")
def list_tenants(as_json: AsJson = False, redis_url: RedisUrl = None) -> None:
    """List the tenants that have limits of their own."""
    with told():
        found = _asked(redis_url, lambda tenants: tenants.all())
    if as_json:
        tables.show_json(found)
        return
    for name, own in found.items():
        typer.echo(_line(name, own))
    if not found:
        typer.echo("no tenant has limits of its own")


@app.command(epilog=f"\b\nExample:\n  emotivoice tenants reset radio\n\n{EXIT_CODES}")
def reset(name: Name, redis_url: RedisUrl = None) -> None:
    """Let the usual limits be the tenant's again."""
    with told():
        had = _asked(redis_url, lambda tenants: tenants.reset(name))
    if not had:
        typer.echo(f"error: {name} has no limits of its own; to see who has: emotivoice tenants list", err=True)
        raise typer.Exit(1)
    typer.echo(f"{name} has the usual limits")


def _line(name: str, own: dict[str, float]) -> str:
    return f"{name}: " + ", ".join(
        f"{quota} {value:,g}" if value else f"{quota} unlimited" for quota, value in own.items()
    )


def _asked(redis_url: str | None, ask: "Callable[[RedisTenants], Awaitable[T]]") -> T:
    async def asked() -> T:
        from shared.tenants import RedisTenants

        tenants = RedisTenants(redis_or_default(redis_url))
        try:
            return await ask(tenants)
        finally:
            await tenants.close()

    return asyncio.run(asked())
