"""Fixtures for every suite."""

import os
from collections.abc import Iterator

import pytest

from cli.stack.servers import LocalServers

# As the workers have it (worker/__main__.py), before anything imports numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", choices=["short", "long"], default="short", help="how much of tests/faults to run")
    parser.addoption("--faults-report", metavar="FILE", help="where to write the table of the fault matrix")
    parser.addoption("--examples", default="20", help="how much Schemathesis sends to each operation")


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServers]:
    """RabbitMQ, Redis and S3 of this test run: empty at its start, gone at its end."""
    with LocalServers(tmp_path_factory.mktemp("servers")) as running:
        yield running
