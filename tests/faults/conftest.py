"""One rig for all of these tests: it is mended before each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.checks import Checks
from tests.faults.clients import Client
from tests.faults.matrix import Cell, Played, table
from tests.faults.rig import Rig, running_rig

Results = list[tuple[Cell, str, Played | None]]


@pytest.fixture(scope="package")
def shared_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with running_rig(tmp_path_factory.mktemp("rig")) as rig:
        yield rig


@pytest.fixture
def rig(shared_rig: Rig) -> Rig:
    """The rig with everything running, and no work left of a test that failed."""
    shared_rig.mend()
    return shared_rig


@pytest.fixture
def checks(rig: Rig) -> Checks:
    return Checks(rig)


@pytest.fixture
def client(rig: Rig) -> Iterator[Client]:
    client = Client(rig.url)
    yield client
    client.close()


@pytest.fixture(scope="session")
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    """The results of all cells; written as a table to --faults-report, else to pytest's temporary folder."""
    results: Results = []
    yield results
    named: str | None = request.config.getoption("--faults-report")
    path = Path(named) if named else tmp_path_factory.mktemp("faults") / "matrix.md"
    path.write_text(table(results))
