"""The commands of the README, as they stand there, in a copy of the checkout."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from audio.encoding import decode
from cli.stack.folder import CODE_FOLDER
from cli.stack.probes import free_ports, http_ok
from cli.stack.process import Command, Process
from tests.e2e.sound import level_dbfs

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SETUP_SECONDS = 600  # a virtual environment is made, with every package, maybe over a slow network
DEFAULT_PORT = "8080"  # in the README; a test takes a free one
_ELSEWHERE = ("make test", "make check", "make bench", "git clone")  # the suite, run by itself, would never end
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    """Return the README's blocks of that language, without the lines that would run the suite again."""
    found = _BLOCK.findall((CODE_FOLDER / "README.md").read_text())
    kept = [
        "\n".join(line for line in text.splitlines() if not line.startswith(_ELSEWHERE))
        for named, text in found
        if named == language
    ]
    return [text for text in kept if text.strip()]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What a clone of this checkout would have, with what is not committed yet."""
    folder = tmp_path_factory.mktemp("readme") / "emotivoice-fleet"
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=CODE_FOLDER, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(lambda name: name and (CODE_FOLDER / name).is_file(), names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CODE_FOLDER / name, folder / name)
    yield folder
    shutil.rmtree(folder)  # its virtual environment is big


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """The environment of somebody who has none of this."""
    ours = ("VIRTUAL_ENV", "PYTHONPATH", "PYTEST_CURRENT_TEST", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    kept = {name: value for name, value in os.environ.items() if name not in ours and not name.startswith("EMOTI")}
    folders = [folder for folder in kept["PATH"].split(os.pathsep) if Path(folder) != CODE_FOLDER / ".venv" / "bin"]
    return kept | {"PATH": os.pathsep.join(folders)}


def run(script: str, clone: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SETUP_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def heard(clone: Path, environment: dict[str, str]) -> str:
    """The first command of the README, after which there is audio; return what it printed."""
    return run(blocks("bash")[0], clone, environment)


@pytest.fixture(scope="module")
def port(heard: str, clone: Path, environment: dict[str, str]) -> Iterator[int]:
    """The port of the service, started as the README says, but on a free port."""
    assert heard
    assert any("make up" in block for block in blocks("console"))
    (port,) = free_ports(1)
    command = Command(["make", "up", f"ARGS=--port {port}"], clone.parent / "up.log", environment, clone)
    up = Process("make up", command, answers=lambda: http_ok(port, "/readyz"))
    up.start()
    yield port
    up.stop(60)


def test_the_first_command_leaves_audio(heard: str, clone: Path) -> None:
    files = sorted((clone / "demo-output").iterdir())

    assert len(files) >= 4
    for path in files:
        assert level_dbfs(decode(path.read_bytes())) > -40
        assert path.name in heard


def test_every_other_command_works(port: int, clone: Path, environment: dict[str, str]) -> None:
    before = set((clone / "demo-output").iterdir())
    rest = blocks("bash")[1:]

    for block in rest:
        run(
            block.replace(f":{DEFAULT_PORT}", f":{port}"),
            clone,
            environment | {"EMOTIVOICE_URL": f"http://127.0.0.1:{port}"},
        )

    new = set((clone / "demo-output").iterdir()) - before
    assert rest
    assert new
    assert all(decode(path.read_bytes()).seconds > 0.5 for path in new)


def commands(readme: str) -> list[str]:
    found = _BLOCK.findall((CODE_FOLDER / readme).read_text())
    lines = [line for language, text in found if language in ("bash", "console") for line in text.splitlines()]
    return [line.split("  #")[0].rstrip() for line in lines]


def test_both_readmes_have_the_same_commands() -> None:
    assert commands("README.zh.md") == commands("README.md")


@pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])
def test_every_file_that_the_readme_names_is_there(readme: str) -> None:
    targets: list[str] = re.findall(r"\]\((?!http)([^)#]+)", (CODE_FOLDER / readme).read_text())

    assert targets
    assert [target for target in targets if not (CODE_FOLDER / target).exists()] == []


def test_every_target_of_make_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"`?make ([a-z-]+)`?", (CODE_FOLDER / "README.md").read_text())) - {"sure"}
    known = set(re.findall(r"^([a-z-]+):", (CODE_FOLDER / "Makefile").read_text(), re.MULTILINE))

    assert named <= known
