"""What the operator's commands share: where the service's own servers are, and what is said when one can't be used.

These commands don't go through the gateway. They read the variables that gateway and workers read.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

import typer

from cli import speaking

BrokerUrl = Annotated[
    str | None,
    typer.Option(
        "--broker-url",
        metavar="URL",
        envvar="EMOTIVOICE_BROKER_URL",
        help="RabbitMQ.",
        show_default="guest's, on this machine",
    ),
]
RedisUrl = Annotated[
    str | None,
    typer.Option(
        "--redis-url",
        metavar="URL",
        envvar="EMOTIVOICE_REDIS_URL",
        help="The jobs' Redis.",
        show_default="on this machine",
    ),
]


def broker_or_default(url: str | None) -> str:
    """Return the broker's URL, by default the one that gateway and workers take by default."""
    from shared.settings import SharedSettings

    return url or SharedSettings().broker_url.get_secret_value()


def redis_or_default(url: str | None) -> str:
    """Return the URL of Redis, by default the one that gateway and workers take by default."""
    from shared.settings import SharedSettings

    return url or SharedSettings().redis_url.get_secret_value()


@contextmanager
def told() -> Generator[None]:
    """What can't be done becomes one line on standard error and an exit code."""
    from cli.errors import ClientError
    from shared.errors import JobError
    from shared.topology import BrokerUnreachable, TopologyError

    try:
        yield
    except (BrokerUnreachable, ClientError, JobError, TopologyError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(speaking.INTERRUPTED) from None
