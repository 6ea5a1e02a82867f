"""The face of `emotivoice dead`: its help, and what it says without a broker. The rest: tests/integration."""

import pytest
from typer.testing import CliRunner, Result

from cli import main
from cli.stack.probes import free_ports


def dead(*arguments: str, code: int, **environment: str) -> Result:
    result = CliRunner().invoke(main.app, ["dead", *arguments], env=environment)
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize("command", ["list", "show", "requeue", "drop"])
def test_help_names_the_variables_and_has_an_example(command: str) -> None:
    text = dead(command, "--help", code=0).stdout

    assert "EMOTIVOICE_BROKER_URL" in text
    assert ("EMOTIVOICE_REDIS_URL" in text) is (command != "drop")
    assert f"  emotivoice dead {command} " in text or f"  emotivoice dead {command}\n" in text
    assert "Exit codes: 0 done, 1 " in text


@pytest.mark.parametrize("command", ["requeue", "drop"])
@pytest.mark.parametrize("arguments", [(), ("job:0", "--all")])
def test_either_ids_or_all_must_be_given(command: str, arguments: tuple[str, ...]) -> None:
    assert "--all; not both" in dead(command, *arguments, code=2).stderr


def test_a_limit_is_one_at_least() -> None:
    assert "greater than or equal to 1" in dead("list", "--limit", "0", code=2).stderr


@pytest.mark.parametrize("arguments", [("list",), ("show", "a:0"), ("requeue", "--all"), ("drop", "--all", "--yes")])
def test_over_redis_there_is_no_dead_letter_queue(arguments: tuple[str, ...]) -> None:
    result = dead(*arguments, code=1, EMOTIVOICE_BROKER_URL="redis://127.0.0.1:6379/1")

    assert "messages travel through Redis here, which has no dead-letter queue" in result.stderr
    assert "emotivoice jobs --state failed" in result.stderr


def test_a_broker_that_is_away_is_told_without_its_password() -> None:
    (port,) = free_ports(1)

    error = dead("list", "--broker-url", f"amqp://someone:secret@127.0.0.1:{port}//", code=1).stderr

    assert f"no answer from the broker at 127.0.0.1:{port}" in error
    assert "secret" not in error
