"""`emotivoice init`: make what must be on the servers before gateway and workers start."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from cli.servers import BrokerUrl, broker_or_default, told

if TYPE_CHECKING:
    from shared.topology import Policy

T = TypeVar("T")

EPILOG = (
    "\b\nExamples:\n"
    "  emotivoice init                    # on servers whose users and vhost are there\n"
    "  emotivoice init --wait 120 --admin-url http://admin:secret@rabbitmq:15672\n\n"
    "The bucket and its server are told by EMOTIVOICE_S3_ENDPOINT, EMOTIVOICE_S3_ACCESS_KEY, EMOTIVOICE_S3_SECRET_KEY, "
    "EMOTIVOICE_S3_BUCKET and EMOTIVOICE_S3_REGION.\n\n"
    "\bExit codes: 0 everything is there, 1 something can't be made; the reason is on standard error. 2 wrong usage."
)

RETRY_SECONDS = 1.0

# As in shared.topology, whose import takes a second: help is to come at once. tests/cli/test_init.py compares them.
LANE_MESSAGES, DEAD_MESSAGES, DEAD_DAYS = 100_000, 100_000, 30

AdminUrl = Annotated[
    str | None,
    typer.Option(
        "--admin-url",
        metavar="URL",
        envvar="EMOTIVOICE_BROKER_ADMIN_URL",
        help="RabbitMQ's management API with an administrator, http://user:password@host:15672. With it, the vhost, "
        "the user and the password of EMOTIVOICE_BROKER_URL are made too, with the rights that the service needs, and "
        "bounds for the queues.",
        show_default=False,
    ),
]


def init(  # noqa: PLR0913, PLR0917 - the options of the command
    admin_url: AdminUrl = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for servers that don't answer yet.")] = 60,
    lane_limit: Annotated[
        int, typer.Option(min=1, help="Messages that a lane may hold; beyond, jobs are refused. With --admin-url.")
    ] = LANE_MESSAGES,
    dead_limit: Annotated[
        int, typer.Option(min=1, help="Dead letters that are kept; beyond, the oldest go. With --admin-url.")
    ] = DEAD_MESSAGES,
    dead_days: Annotated[
        int, typer.Option(min=1, max=365, help="How long a dead letter is kept. With --admin-url.")
    ] = DEAD_DAYS,
    broker_url: BrokerUrl = None,
) -> None:
    """Make queues, exchanges and the bucket, before anything else of the service starts. Safe to repeat."""
    with told():
        from shared import topology
        from shared.queue import is_rabbitmq

        url, patience = broker_or_default(broker_url), _Patience(wait)
        if admin_url:
            if not is_rabbitmq(url):
                raise typer.BadParameter("messages travel through Redis here, which has none", param_hint="--admin-url")
            bounds = topology.policies(lane_messages=lane_limit, dead_messages=dead_limit, dead_days=dead_days)
            patience.retry("RabbitMQ's management API", lambda: _administer(url, admin_url, bounds))
        for made in patience.retry("the broker", lambda: topology.declare(url)):
            _say(made.kind, made.name, "there already" if made.existed else "declared")
        patience.retry("the object store", _make_bucket)


class _Patience:
    """Tries again while a server does not answer, until the time is up; says once what it waits for."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds

    def retry(self, what: str, do: Callable[[], T]) -> T:
        from cli.broker_admin import AdminUnreachable
        from shared.errors import StorageUnavailable
        from shared.topology import BrokerUnreachable

        said = ""
        while True:
            try:
                return do()
            except (AdminUnreachable, BrokerUnreachable, StorageUnavailable) as error:
                if time.monotonic() >= self._deadline:
                    raise
                if str(error) != said:
                    said = str(error)
                    typer.echo(f"waiting for {what}: {said}", err=True)
            time.sleep(RETRY_SECONDS)


def _administer(broker_url: str, admin_url: str, bounds: "list[Policy]") -> None:
    from cli.broker_admin import BrokerAdmin
    from shared.topology import account, rights

    service = account(broker_url)
    admin = BrokerAdmin(admin_url)
    try:
        _say("vhost", service.vhost, admin.ensure_vhost(service.vhost))
        if service.user == admin.user:  # it would take its own rights away
            _say("user", service.user, "the administrator's own, left as it is: the service should have another")
        else:
            _say("user", service.user, admin.ensure_user(service))
            _say("rights of", service.user, admin.ensure_rights(service, rights()))
        for policy in bounds:
            _say("policy", policy.name, admin.ensure_policy(service.vhost, policy))
    finally:
        admin.close()


def _make_bucket() -> None:
    from shared.object_store import S3ObjectStore
    from shared.settings import SharedSettings

    settings = SharedSettings()
    made = S3ObjectStore(settings).make_bucket()
    _say("bucket", settings.s3_bucket, "created" if made else "there already")


def _say(kind: str, name: str, done: str) -> None:
    typer.echo(f"{kind:<9} {name:<24} {done}")
