"""The face of `emotivoice keys`: its help, and what it refuses. The rest: tests/integration/test_auth.py."""

import pytest
from typer.testing import CliRunner, Result

from cli import main
from cli.stack.probes import free_ports


def keys(*arguments: str, code: int) -> Result:
    result = CliRunner().invoke(main.app, ["keys", *arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize("command", ["create", "list", "revoke"])
def test_help_names_the_variable_and_has_an_example(command: str) -> None:
    text = keys(command, "--help", code=0).stdout

    assert "EMOTIVOICE_REDIS_URL" in text
    assert f"  emotivoice keys {command}" in text
    assert "Exit codes: 0 done, 1 " in text


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--tenant", "two words", "is no tenant's name"),
        ("--scopes", "jobs:read speech", "there is no scope 'speech'"),
        ("--scopes", "", "there is no scope ''"),
        ("--expires", "soon", "write it like 90d"),
        ("--expires", "0d", "write it like 90d"),
        ("--expires", "-1h", "write it like 90d"),
    ],
)
def test_what_can_t_be_is_refused_before_redis_is_asked(option: str, value: str, says: str) -> None:
    tenant = [] if option == "--tenant" else ["--tenant", "acme"]

    assert says in " ".join(keys("create", *tenant, f"{option}={value}", code=2).stderr.replace("│", " ").split())


@pytest.mark.parametrize("arguments", [("create", "--tenant", "acme"), ("list",), ("revoke", "1f0c2a9d44be")])
def test_without_redis_nothing_is_made(arguments: tuple[str, ...]) -> None:
    (port,) = free_ports(1)
    result = keys(*arguments, "--redis-url", f"redis://:secret@127.0.0.1:{port}/0", code=1)

    assert result.stderr.startswith("error: ")
    assert "evk_" not in result.output
    assert "secret" not in result.output
