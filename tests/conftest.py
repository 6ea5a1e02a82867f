"""Fixtures for every suite."""

from collections.abc import Iterator

import pytest

from cli.stack.servers import LocalServers


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServers]:
    """RabbitMQ, Redis and S3 of this test run: empty at its start, gone at its end."""
    with LocalServers(tmp_path_factory.mktemp("servers")) as running:
        yield running
