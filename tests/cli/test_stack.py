"""The private servers: they answer real clients, keep their data, and leave nothing behind."""

import io
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import kombu
import pytest
from minio import Minio
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError
from redis.retry import Retry

from cli.stack.errors import DataFolderInUse, NotReady, ProcessDied, StackError
from cli.stack.folder import DataFolder, default_folder
from cli.stack.probes import accepts, free_ports
from cli.stack.process import Command, Process, check_running
from cli.stack.servers import LocalServers

pytestmark = pytest.mark.integration

# RabbitMQ 3.10 buffers its directory of quorum queues (a dets file) for 3 s; a kill within that time loses the queue.
DIRECTORY_WRITTEN_SECONDS = 4


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServers]:
    """Servers of our own, because these tests kill them."""
    with LocalServers(tmp_path_factory.mktemp("a stack")) as running:
        yield running


def redis_client(stack: LocalServers) -> Redis:
    url = stack.environment()["EMOTIVOICE_REDIS_URL"]
    return Redis.from_url(url, decode_responses=True)  # pyright: ignore[reportUnknownMemberType]


def s3_client(stack: LocalServers) -> Minio:
    settings = stack.environment()
    return Minio(
        settings["EMOTIVOICE_S3_ENDPOINT"].removeprefix("http://"),
        access_key=settings["EMOTIVOICE_S3_ACCESS_KEY"],
        secret_key=settings["EMOTIVOICE_S3_SECRET_KEY"],
        region=settings["EMOTIVOICE_S3_REGION"],
        secure=False,
    )


def queue(stack: LocalServers) -> kombu.Connection:
    return kombu.Connection(stack.environment()["EMOTIVOICE_BROKER_URL"])


def test_a_message_survives_the_kill_of_rabbitmq(stack: LocalServers) -> None:
    assert stack.rabbitmq
    arguments = {"x-queue-type": "quorum"}
    with queue(stack) as connection, connection.SimpleQueue("kept", queue_args=arguments) as messages:
        messages.put("hello")
    time.sleep(DIRECTORY_WRITTEN_SECONDS)

    stack.rabbitmq.kill()
    stack.rabbitmq.start()

    with queue(stack) as connection, connection.SimpleQueue("kept", queue_args=arguments) as messages:
        message = messages.get(timeout=10)
        message.ack()
    assert message.payload == "hello"


def test_redis_keeps_what_it_acknowledged_before_a_kill(stack: LocalServers) -> None:
    with redis_client(stack) as client:
        client.set("job", "queued")

    stack.redis.kill()
    stack.redis.start()

    with redis_client(stack) as client:
        assert client.get("job") == "queued"


def test_s3_keeps_objects_over_a_restart(stack: LocalServers) -> None:
    client = s3_client(stack)
    client.make_bucket(bucket_name="sound")
    client.put_object(bucket_name="sound", object_name="a.wav", data=io.BytesIO(b"RIFF"), length=4)

    stack.s3.stop()
    stack.s3.start()

    with client.get_object(bucket_name="sound", object_name="a.wav") as answer:
        assert answer.read() == b"RIFF"


def test_s3_takes_an_object_anew_that_it_was_killed_at(stack: LocalServers) -> None:
    """Killed while it writes, the server leaves a file by which it would refuse that object for ever."""
    client = s3_client(stack)
    client.make_bucket(bucket_name="cut")
    client.put_object(bucket_name="cut", object_name="a.wav", data=io.BytesIO(b"RIFF"), length=4)
    folder = stack.folder.path / "s3"
    names = [path for path in folder.rglob("*") if path.is_file() and "a.wav" in path.name]
    stack.s3.kill()
    for path in names:
        path.with_name(f"{path.name}.tmp").touch()
        path.with_name(".tmp.0123").touch()

    stack.s3.start()

    assert [one.object_name for one in client.list_objects("cut", recursive=True)] == ["a.wav"]
    client.put_object(bucket_name="cut", object_name="a.wav", data=io.BytesIO(b"WAVE"), length=4)
    with client.get_object(bucket_name="cut", object_name="a.wav") as answer:
        assert answer.read() == b"WAVE"


def test_redis_refuses_clients_without_the_password(stack: LocalServers) -> None:
    port = int(stack.environment()["EMOTIVOICE_REDIS_URL"].rpartition(":")[2].split("/")[0])
    with Redis(port=port, retry=Retry(NoBackoff(), 0)) as client, pytest.raises(AuthenticationError):
        client.get("job")


def test_a_second_stack_in_the_same_folder_is_refused(stack: LocalServers) -> None:
    with pytest.raises(DataFolderInUse, match="--data"):
        LocalServers(stack.folder.path)


def test_two_stacks_run_side_by_side_and_leave_nothing_behind(stack: LocalServers, tmp_path: Path) -> None:
    with LocalServers(tmp_path) as other:
        pids = [process.pid for process in other.processes]
        assert other.environment()["EMOTIVOICE_BROKER_URL"] != stack.environment()["EMOTIVOICE_BROKER_URL"]

    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    check_running(stack.processes)


def test_without_rabbitmq_messages_travel_through_redis(tmp_path: Path) -> None:
    with LocalServers(tmp_path, rabbitmq=False) as fallback:
        assert fallback.rabbitmq is None
        with queue(fallback) as connection, connection.SimpleQueue("plain") as messages:
            messages.put("hello")
            assert messages.get(timeout=5).payload == "hello"


def test_rabbitmqctl_reaches_the_private_node(stack: LocalServers) -> None:
    assert stack.broker
    assert "emotivoice" in stack.broker.control("list_users")
    with pytest.raises(StackError, match="no-such-command"):
        stack.broker.control("no-such-command")


def test_a_dead_process_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    script = shell("echo the disk is full; exit 3", tmp_path, answers=lambda: False)
    with pytest.raises(ProcessDied, match=r"exit code 3(.|\n)*the disk is full"):
        script.start()


def test_a_process_that_never_answers_is_given_up(tmp_path: Path) -> None:
    script = shell("echo loading; sleep 30", tmp_path, answers=lambda: False)
    with pytest.raises(NotReady, match=r"loading"):
        script.start()
    script.kill()


def test_a_process_killed_from_outside_is_reported(tmp_path: Path) -> None:
    process = shell("echo working; sleep 30", tmp_path)
    process.start()
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not process.running)
    with pytest.raises(ProcessDied, match="killed by signal 9"):
        check_running([process])


def test_stopping_ends_a_process_that_ignores_the_signal_and_its_children(tmp_path: Path) -> None:
    process = shell("trap '' TERM; sleep 31 & echo $!; wait; sleep 30", tmp_path)
    process.start()
    wait_until(lambda: process.log_tail() != "")
    child = int(process.log_tail())
    process.stop(timeout_seconds=0.2)
    assert process.exit_code == -signal.SIGKILL
    wait_until(lambda: not running(child))


def test_free_ports_are_distinct_and_unused() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert not any(accepts(port) for port in ports)


def test_passwords_are_kept_and_private(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert folder.passwords("redis") == folder.passwords("redis")
    assert (tmp_path / "passwords.json").stat().st_mode & 0o077 == 0


def test_the_data_folder_can_be_chosen_by_a_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMOTIVOICE_DATA", str(tmp_path))
    assert default_folder() == tmp_path


def shell(script: str, folder: Path, *, answers: Callable[[], bool] = lambda: True) -> Process:
    command = Command(["sh", "-c", script], log=folder / "script.log")
    return Process("script", command, answers=answers, ready_seconds=1)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def running(pid: int) -> bool:
    """Whether the process runs; one that ended but was not yet reaped by its parent does not."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
