"""`emotivoice batch`: a file of lines in, a folder of audio out, gone on with after Ctrl-C."""

import json
import signal
import uuid
from pathlib import Path

import pytest

from audio.encoding import decode
from shared.jobs import Lane
from tests.e2e.conftest import Product
from tests.waiting import wait_for

pytestmark = pytest.mark.e2e

TEMPLATE = ("--template", "Dear {name}, happy new year!")


def written(path: Path, *lines: object) -> Path:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return path


def greetings(count: int) -> list[dict[str, object]]:
    mark = uuid.uuid4().hex[:8]
    return [{"custom_id": f"to {n}/{mark}", "variables": {"name": f"friend {n} {mark}"}} for n in range(1, count + 1)]


def test_each_line_becomes_a_file_and_a_bad_one_is_told(product: Product, tmp_path: Path) -> None:
    lines = [*greetings(2), {"custom_id": "bad", "variables": {"nome": "x"}}]
    file = written(tmp_path / "lines.jsonl", *lines)

    ended = product.run("batch", file, "-o", tmp_path / "out", *TEMPLATE, "--format", "mp3")

    assert ended.returncode == 1
    assert "line 3 (bad): the template has name" in ended.stderr.decode()
    assert "[missing_variable]" in ended.stderr.decode()
    assert "2 files" in ended.stdout.decode()
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    mark = str(lines[0]["custom_id"]).rpartition("/")[2]
    assert names == [f"000001-to_1_{mark}.mp3", f"000002-to_2_{mark}.mp3", "manifest.jsonl"]
    assert decode((tmp_path / "out" / names[0]).read_bytes()).seconds > 1
    manifest = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert [line["state"] for line in manifest] == ["succeeded", "succeeded", "rejected"]


def test_after_ctrl_c_the_same_command_goes_on(product: Product, tmp_path: Path) -> None:
    file, out = written(tmp_path / "lines.jsonl", *greetings(4)), tmp_path / "out"
    command = ("batch", str(file), "-o", str(out), *TEMPLATE, "--format", "flac")
    bulk = product.fleet.workers[Lane.BULK]
    bulk.stop()
    begun = product.begun(*command)
    wait_for(lambda: product.api.http.get("/v1/batches").json()["batches"][0]["state"] == "running")
    newest = product.api.http.get("/v1/batches").json()["batches"][0]["id"]
    wait_for(out.is_dir)
    begun.send_signal(signal.SIGINT)
    _, told = begun.communicate(timeout=30)
    assert begun.returncode == 130, told.decode()
    assert f"batch {newest} goes on" in told.decode()
    bulk.start()

    ended = product.run(*command)

    assert ended.returncode == 0, ended.stderr.decode()
    assert f"going on with batch {newest}" in ended.stderr.decode()
    assert len(list(out.glob("*.flac"))) == 4
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.flac")}
    assert product.run(*command).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.flac")} == before
