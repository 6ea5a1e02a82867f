"""A private S3 server."""

import importlib.util
import os
import sys
from functools import partial
from pathlib import Path

from cli.stack.errors import StackError
from cli.stack.folder import DataFolder
from cli.stack.probes import LOOPBACK, speaks_http
from cli.stack.process import Command, Process

ACCESS_KEY = "emotivoice"


def s3_server(folder: DataFolder, *, port: int, secret_key: str) -> Process:
    """nanio: one folder of plain files behind the S3 protocol."""
    if importlib.util.find_spec("nanio") is None:
        raise StackError("no S3 server: install the extra `local` of this package, which brings nanio")
    data = folder / "s3"
    data.mkdir(parents=True, exist_ok=True)
    arguments = [sys.executable, "-m", "nanio", "serve", "--host", LOOPBACK, "--port", str(port)]
    arguments += ["--data-dir", str(data), "--log-level", "warning", "--no-access-log"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NANIO_")}
    environment |= {"NANIO_ACCESS_KEY": ACCESS_KEY, "NANIO_SECRET_KEY": secret_key}
    command = Command(
        arguments,
        log=folder.log("s3"),
        environment=environment,
        folder=data,
        keep_open=folder.inherited,
        before=partial(_clear_half_written, data),
    )
    return Process("s3", command, answers=lambda: speaks_http(port))


def _clear_half_written(data: Path) -> None:
    """Delete what a killed server has left: it would list it as an object, or refuse to write that object for ever."""
    for left in [*data.rglob("*.tmp"), *data.rglob(".tmp.*")]:
        left.unlink()
