"""Lock every dependency: uv.lock, and from it the hashed requirements files.

uv writes the address of every file into its lock. Ours names files only, so that no registry's address stands in the
repository and `uv sync --frozen` works from the folder that `make wheelhouse` fills, without a network. uv reads such a
lock back: versions stay as they are until `make lock ARGS=--upgrade`.
"""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).with_name("uv")
EXPORT = ("export", "--frozen", "--quiet", "--no-header", "--no-emit-project")
ADDRESS = re.compile(r'url = "https?://[^"]*/([^"/]+)"')
REGISTRY = re.compile(r'registry = "https?://[^"]*"')
SIZE = re.compile(r", size = \d+")  # not every registry tells it: without it the lock is the same from all of them


def main() -> None:
    """Lock, with any further arguments given to `uv lock`."""
    uv("lock", *sys.argv[1:])
    lock = ROOT / "uv.lock"
    lock.write_text(without_addresses(lock.read_text()))
    extras = ("books", "builtin", "local", "tracing", "voices")
    runtime = ("--no-dev", *(word for extra in extras for word in ("--extra", extra)))
    uv(*EXPORT, *runtime, "--output-file", "requirements.lock")
    uv(*EXPORT, *runtime, "--extra", "emotivoice", "--output-file", "requirements-model.lock")
    uv(*EXPORT, "--all-extras", "--all-groups", "--output-file", "requirements-dev.lock")
    lock_uv()


def without_addresses(lock: str) -> str:
    """Return the lock with file names in place of addresses; hashes stay."""
    named = ADDRESS.sub(lambda match: f'path = "{unquote(match[1])}"', lock)
    return REGISTRY.sub('registry = "wheelhouse"', SIZE.sub("", named))


def lock_uv() -> None:
    """Pin the uv that `scripts/setup.sh` installs: the one that wrote these files."""
    version = subprocess.run([UV, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    command = [UV, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--generate-hashes", "-"]
    command += ["--universal", "--output-file", "requirements-uv.lock"]
    subprocess.run(command, cwd=ROOT, check=True, text=True, input=f"uv=={version}\n", stdout=subprocess.DEVNULL)


def uv(*arguments: str) -> None:
    subprocess.run([UV, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
