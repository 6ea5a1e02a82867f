"""`emotivoice model` as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli import main, model
from cli.stack.servers import LocalServers
from shared.object_store import S3ObjectStore
from shared.settings import SharedSettings
from tests.worker.engine.emotivoice.tiny import SIZES, TinyModel
from worker.engine.emotivoice.conversion import convert
from worker.engine.emotivoice.manifest import DTYPES

COMMANDS = ("check", "convert", "pull", "push")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main.app, ["model", *map(str, arguments)])


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    """A converted model; the commands know no official one of its size."""
    convert(TinyModel(tmp_path / "official").write(), tmp_path / "model", sizes=SIZES)
    return tmp_path / "model"


@pytest.fixture
def s3(servers: LocalServers, monkeypatch: pytest.MonkeyPatch) -> SharedSettings:
    """The S3 of this test run, with its bucket."""
    for name, value in servers.environment().items():
        monkeypatch.setenv(name, value)
    settings = SharedSettings()
    S3ObjectStore(settings).make_bucket()
    return settings


def test_check_tells_what_is_there(converted: Path) -> None:
    result = run("check", converted)

    assert result.exit_code == 0, result.output
    facts = dict(line.split("  ", 1) for line in result.stdout.splitlines() if "  " in line)
    assert facts["model"].strip() == f"{converted}, converted"
    assert len(facts["revision"].strip()) == 64
    assert facts["weights"].strip() == "fp32"
    assert "acoustic 3,905, vocoder 1,929, style 532" in facts["parameters"]
    assert facts["voices"].strip().startswith("4, the first: 8051 (Maria Kasper, female), 985 (George Pilling, male)")
    assert result.stdout.splitlines()[-1] == "warning: 1 voices are not in voices.md: 11614"


def test_check_as_json(converted: Path) -> None:
    report = json.loads(run("check", converted, "--json").stdout)

    assert report["ok"] is True
    assert (report["kind"], report["dtype"], report["voices"], report["tokens"]) == ("converted", "fp32", 4, 5)
    assert report["first_voices"][0]["name"] == "Maria Kasper"


def test_check_fails_with_the_reason(converted: Path) -> None:
    (converted / "tokenlist").write_text("")

    result, as_json = run("check", converted), run("check", converted, "--json")

    assert (result.exit_code, as_json.exit_code) == (1, 1)
    assert result.stdout == ""
    assert result.stderr == f"error: {converted}/tokenlist has 0 bytes instead of 21\n"
    assert json.loads(as_json.stdout) == {"ok": False, "error": f"{converted}/tokenlist has 0 bytes instead of 21"}


def test_convert_writes_a_folder_and_asks_before_it_replaces(converted: Path, tmp_path: Path) -> None:
    output = tmp_path / "half"

    first = run("convert", converted, output, "--dtype", "fp16")
    second = run("convert", converted, output)
    third = run("convert", converted, output, "--force")

    assert first.exit_code == 0, first.output
    assert first.stdout.startswith(f"wrote {output}: fp16, 4 voices, ")
    assert (second.exit_code, second.stderr) == (
        1,
        f"error: {output} holds a converted model already; --force replaces it\n",
    )
    assert third.stdout.startswith(f"wrote {output}: fp32, 4 voices, ")


def test_a_place_that_can_t_be_written_is_told(converted: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    result = run("convert", converted, tmp_path / "file/model")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert "File exists" in result.stderr


def test_a_wrong_url_is_told(converted: Path) -> None:
    result = run("push", converted, "http://models")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: 'http://models' is no place for a model")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_teaches_by_example(command: str) -> None:
    shown = run(command, "--help").stdout

    assert f"  emotivoice model {command} " in shown
    assert "Example" in shown


def test_the_help_names_every_command() -> None:
    shown = run("--help").stdout

    assert all(f"  {command}  " in shown for command in COMMANDS)


def test_the_types_are_the_engine_s() -> None:
    assert tuple(dtype.value for dtype in model.Dtype) == DTYPES


def test_torch_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys; from cli.main import app; print({'torch', 'numpy', 'worker', 'minio'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert shown.stdout == "set()\n"


def test_without_torch_the_command_tells_what_to_install(converted: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from cli.main import main; main()"
    command = [sys.executable, "-c", code, "model", "check", str(converted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr == (
        "error: this needs torch, which is not installed; to install what the model needs: make setup-model\n"
    )


@pytest.mark.integration
def test_a_model_goes_to_a_real_s3_and_back(converted: Path, tmp_path: Path, s3: SharedSettings) -> None:
    url = f"s3://{s3.s3_bucket}/models/tiny"

    pushed = run("push", converted, url)
    pulled = run("pull", url, tmp_path / "back")
    again = run("pull", url, tmp_path / "back")

    assert pushed.exit_code == 0, pushed.output
    assert pushed.stdout.startswith(f"{url} holds revision ")
    assert pulled.exit_code == 0, pulled.output
    assert pulled.stdout.endswith("fetched 5 of 5 files\n")
    assert again.stdout.endswith("fetched 0 of 5 files\n")
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == sorted(
        path.name for path in converted.iterdir()
    )
    assert run("check", tmp_path / "back").exit_code == 0


@pytest.mark.integration
def test_a_part_is_completed_from_a_real_s3(converted: Path, tmp_path: Path, s3: SharedSettings) -> None:
    url = f"s3://{s3.s3_bucket}/models/parted"
    run("push", converted, url)
    whole = (converted / "model.safetensors").read_bytes()
    (tmp_path / "back/.pull").mkdir(parents=True)
    (tmp_path / "back/.pull/model.safetensors.part").write_bytes(whole[:-1])

    assert run("pull", url, tmp_path / "back").exit_code == 0
    assert (tmp_path / "back/model.safetensors").read_bytes() == whole


@pytest.mark.integration
def test_what_a_real_s3_does_not_have_is_told(tmp_path: Path, s3: SharedSettings) -> None:
    missing = run("pull", f"s3://{s3.s3_bucket}/models/none", tmp_path / "back")
    no_bucket = run("pull", "s3://no-such-bucket/models/none", tmp_path / "back")

    assert (missing.exit_code, missing.stderr) == (
        1,
        "error: there is no converted model: the store has no models/none/manifest.json\n",
    )
    assert no_bucket.exit_code == 1
    assert "NoSuchBucket" in no_bucket.stderr
