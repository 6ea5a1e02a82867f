"""The converted folder: what is in it, how it is verified, and what is never overwritten."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file  # pyright: ignore[reportUnknownVariableType]

from tests.worker.engine.emotivoice.tiny import SIZES, TEXT, TinyModel, new_norm
from worker.engine.emotivoice.conversion import convert
from worker.engine.emotivoice.errors import CheckpointError, ModelFolderError
from worker.engine.emotivoice.loading import load_model
from worker.engine.emotivoice.report import check_model
from worker.engine.emotivoice.shapes import expected_shapes


@pytest.fixture
def tiny(tmp_path: Path) -> TinyModel:
    return TinyModel(tmp_path / "model")


@pytest.fixture
def converted(tiny: TinyModel, tmp_path: Path) -> Path:
    convert(tiny.write(), tmp_path / "converted", sizes=SIZES)
    return tmp_path / "converted"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def edit(folder: Path, **fields: Any) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | fields))


def vouch(folder: Path, name: str) -> None:
    """Write the file as it is now into the manifest."""
    data = (folder / name).read_bytes()
    files = json.loads((folder / "manifest.json").read_text())["files"]
    edit(folder, files=files | {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}})


def refusal(folder: Path) -> str:
    with pytest.raises((ModelFolderError, CheckpointError)) as caught:
        load_model(folder)
    return str(caught.value)


def test_a_converted_model_is_the_same_model(tiny: TinyModel, converted: Path) -> None:
    official, model = tiny.load(), load_model(converted)

    assert model.weights.keys() == official.weights.keys()
    assert all(torch.equal(model.weights[name], official.weights[name]) for name in official.weights)
    assert (model.revision, model.config) == (official.revision, official.config)
    assert (model.tokens, model.speakers, model.voices) == (official.tokens, official.speakers, official.voices)
    assert model.vocabulary.read_bytes() == official.vocabulary.read_bytes()
    assert model.folder.kind == "converted"


def test_the_folder_has_all_that_is_needed_and_a_manifest_of_it(tiny: TinyModel, converted: Path) -> None:
    files = content(converted)
    manifest = json.loads(files.pop("manifest.json"))

    assert [*files] == ["model.safetensors", "speakers", "tokenlist", "vocab.txt", "voices.md"]
    assert files["voices.md"].decode() == tiny.texts[f"{TEXT}/README.md"]
    assert manifest["files"] == {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
    }
    assert (manifest["format_version"], manifest["dtype"], manifest["voices"]) == (1, "fp32", 4)
    assert manifest["revision"] == manifest["source_revision"] == tiny.load().revision
    assert manifest["parameters"] == tiny.load().parameters()
    assert manifest["created_by"].startswith("emotivoice-fleet")
    assert load_file(converted / "model.safetensors").keys() == expected_shapes(SIZES).keys()


def test_others_may_read_the_weights(converted: Path) -> None:
    assert len({path.stat().st_mode for path in converted.iterdir()}) == 1


def test_the_same_model_gives_the_same_bytes(tiny: TinyModel, converted: Path, tmp_path: Path) -> None:
    shutil.rmtree(tiny.path)
    tiny.generator = new_norm(tiny.generator)
    convert(tiny.write(), tmp_path / "again", sizes=SIZES)
    convert(converted, tmp_path / "third")

    assert content(tmp_path / "again") == content(converted)
    assert content(tmp_path / "third") == content(converted)


@pytest.mark.parametrize(("dtype", "tolerance"), [("fp16", 2**-11), ("bf16", 2**-8)])
def test_half_precision(tiny: TinyModel, converted: Path, tmp_path: Path, dtype: str, tolerance: float) -> None:
    convert(tiny.path, tmp_path / "half", dtype=dtype, sizes=SIZES)
    convert(converted, tmp_path / "other", dtype=dtype)

    full, half = load_model(converted), load_model(tmp_path / "half")

    assert half.dtype == {"fp16": torch.float16, "bf16": torch.bfloat16}[dtype]
    assert all(weight.dtype == half.dtype for weight in half.weights.values())
    for name, weight in full.weights.items():
        torch.testing.assert_close(half.weights[name].float(), weight, rtol=tolerance, atol=1e-7)
    assert half.source_revision == full.revision
    assert half.revision != full.revision
    assert content(tmp_path / "other") == content(tmp_path / "half")


def test_half_precision_is_not_made_full_again(tiny: TinyModel, tmp_path: Path) -> None:
    convert(tiny.write(), tmp_path / "half", dtype="fp16", sizes=SIZES)

    with pytest.raises(ModelFolderError, match="holds float16 weights; fp32 is made from the official files"):
        convert(tmp_path / "half", tmp_path / "full")


def test_a_weight_that_fp16_can_t_hold_is_named(tiny: TinyModel, tmp_path: Path) -> None:
    tiny.generator["am.to_mel.bias"][0] = 1e5
    tiny.write()

    with pytest.raises(CheckpointError, match=r"too large for fp16: acoustic\.to_mel\.bias; bf16 holds them"):
        convert(tiny.path, tmp_path / "half", dtype="fp16", sizes=SIZES)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_table_that_is_not_there_stays_away(tiny: TinyModel, tmp_path: Path) -> None:
    del tiny.texts[f"{TEXT}/README.md"]
    convert(tiny.write(), tmp_path / "converted", sizes=SIZES)
    (tmp_path / "converted" / "voices.md").write_text("| 8051 | Not Verified | F | |\n")

    assert load_model(tmp_path / "converted").voices[0].name == "8051"


def test_what_is_there_is_replaced_only_when_told(tiny: TinyModel, converted: Path) -> None:
    tiny.generator["am.to_mel.bias"] += 1
    tiny.write()

    with pytest.raises(ModelFolderError, match="holds a converted model already; --force replaces it"):
        convert(tiny.path, converted, sizes=SIZES)
    before = load_model(converted).revision
    convert(tiny.path, converted, replace=True, sizes=SIZES)

    assert load_model(converted).revision != before
    assert sorted(path.name for path in converted.parent.iterdir()) == ["converted", "model"]


def test_a_damaged_conversion_may_be_replaced(tiny: TinyModel, converted: Path) -> None:
    (converted / "manifest.json").write_text("{}")

    convert(tiny.path, converted, replace=True, sizes=SIZES)

    load_model(converted)


@pytest.mark.parametrize("what", ["a file", "a folder of other things", "another manifest"])
def test_what_is_no_conversion_is_never_replaced(tiny: TinyModel, tmp_path: Path, what: str) -> None:
    output = tmp_path / "precious"
    if what == "a file":
        output.write_text("diary")
    else:
        output.mkdir()
        (output / ("manifest.json" if what == "another manifest" else "diary")).write_text("{}")

    with pytest.raises(ModelFolderError, match="is no converted model; it is left alone"):
        convert(tiny.write(), output, replace=True, sizes=SIZES)
    assert output.exists()


def test_an_empty_folder_is_free(tiny: TinyModel, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()

    convert(tiny.write(), tmp_path / "new", sizes=SIZES)

    load_model(tmp_path / "new")


def test_a_conversion_that_fails_leaves_nothing(tiny: TinyModel, tmp_path: Path) -> None:
    tiny.generator["am.to_mel.bias"][0] = float("nan")
    tiny.write()

    with pytest.raises(CheckpointError, match="not finite"):
        convert(tiny.path, tmp_path / "deep/converted", sizes=SIZES)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("name", ["model.safetensors", "speakers", "tokenlist", "vocab.txt", "voices.md"])
def test_a_file_that_is_missing_or_cut_is_named(converted: Path, name: str) -> None:
    data = (converted / name).read_bytes()
    (converted / name).write_bytes(data[:-1])
    assert f"{name} has {len(data) - 1:,} bytes instead of {len(data):,}" in refusal(converted)
    (converted / name).unlink()
    assert refusal(converted).endswith(f"is incomplete: {name} is missing")


@pytest.mark.parametrize("name", ["speakers", "tokenlist", "vocab.txt", "voices.md"])
def test_a_table_that_was_changed_is_refused_at_once(converted: Path, name: str) -> None:
    data = bytearray((converted / name).read_bytes())
    data[0] ^= 1
    (converted / name).write_bytes(data)

    assert f"{name} is not the file that was converted: its SHA-256 differs" in refusal(converted)


def test_weights_that_were_changed_are_found_by_the_check(converted: Path) -> None:
    data = bytearray((converted / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (converted / "model.safetensors").write_bytes(data)

    load_model(converted)  # too slow to hash at every start
    with pytest.raises(ModelFolderError, match="safetensors is not the file that was converted"):
        check_model(converted)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"format_version": 2}, "has format 2, and this version reads 1: a newer version wrote it; update this one"),
        ({"format_version": 0}, "has format 0, and this version reads 1: convert the model again"),
        ({"format_version": None}, "it has no format_version"),
        ({"dtype": "fp8"}, "is damaged: dtype is 'fp8', not one of fp32, fp16, bf16"),
        ({"dtype": "fp16"}, "is damaged: its revision does not follow from its source revision"),
        ({"files": {"../../etc/passwd": {"bytes": 1, "sha256": "0" * 64}}}, "its files are '../../etc/passwd'"),
        ({"files": {}}, "is damaged: its files are"),
        ({"files": []}, "is damaged: files is []"),
        ({"files": {"speakers": {"bytes": 1.0, "sha256": "0" * 64}}}, "is damaged: files.speakers.bytes is 1.0"),
        ({"files": {"speakers": {"bytes": 1}}}, "is damaged: files.speakers.sha256 is missing"),
        ({"config": {}}, "is damaged: config.acoustic is missing"),
        ({"config": None}, "is damaged: config is None"),
        ({"format_version": True}, "is damaged: format_version is True"),
        ({"voices": "many"}, "is damaged: voices is 'many'"),
        ({"surprise": 1}, "is damaged: surprise is unknown"),
    ],
)
def test_a_manifest_that_can_t_be_used_says_why(converted: Path, fields: dict[str, Any], told: str) -> None:
    edit(converted, **fields)

    assert told in refusal(converted)


@pytest.mark.parametrize(
    ("network", "field", "value", "told"),
    [
        ("acoustic", "width", "x", "config.acoustic.width is 'x', not int"),
        ("acoustic", "width", 8.0, "config.acoustic.width is 8.0, not int"),
        ("acoustic", "layers", True, "config.acoustic.layers is True, not int"),
        ("acoustic", "layers", -1, "config.acoustic.layers is -1"),
        ("acoustic", "heads", 0, "config.acoustic.heads is 0"),
        ("acoustic", "heads", 3, "config.acoustic.heads is 3, which does not divide its width 8"),
        ("acoustic", "colour", 3, "config.acoustic.colour is unknown"),
        ("vocoder", "upsample_rates", 16, "config.vocoder.upsample_rates is 16, not a list"),
        ("vocoder", "upsample_rates", [16, 16.0], "config.vocoder.upsample_rates is 16.0, not int"),
        ("vocoder", "upsample_rates", [0, 16], "config.vocoder.upsample_rates is 0"),
        ("vocoder", "upsample_rates", [16, 8], "config.vocoder.upsample_rates is (16, 8); their product must be 256"),
        (
            "vocoder",
            "upsample_rates",
            [256],
            "config.vocoder.upsample_rates is (256,), but there are 2",
        ),
        ("vocoder", "resblock_dilations", [1, [3], 5], "config.vocoder.resblock_dilations is [3], not int"),
        ("style", "heads", 4, "config.style.heads is 4, which does not divide its width 6"),
        ("style", "norm_eps", "small", "config.style.norm_eps is 'small', not float"),
        ("style", "norm_eps", float("nan"), "config.style.norm_eps is nan"),
    ],
)
def test_a_damaged_config_names_the_field(converted: Path, network: str, field: str, value: object, told: str) -> None:
    config = json.loads((converted / "manifest.json").read_text())["config"]
    config[network][field] = value
    edit(converted, config=config)

    assert f"is damaged: {told}" in refusal(converted)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"a":' * 100_000])
def test_a_manifest_that_is_no_json_is_told(converted: Path, text: str) -> None:
    (converted / "manifest.json").write_text(text)

    assert "manifest.json is not JSON" in refusal(converted)


@pytest.mark.parametrize("change", ["missing", "extra", "shape", "dtype"])
def test_weights_that_are_not_the_manifest_s_are_refused(converted: Path, change: str) -> None:
    path = converted / "model.safetensors"
    weights = {name: weight.clone() for name, weight in load_file(path).items()}
    bias = weights.pop("acoustic.to_mel.bias")
    if change == "extra":
        weights |= {"acoustic.to_mel.bias": bias, "acoustic.postnet.bias": bias.clone()}
    elif change != "missing":
        weights["acoustic.to_mel.bias"] = bias[:2].clone() if change == "shape" else bias.half()
    save_file(weights, path)
    vouch(converted, "model.safetensors")

    assert "1 differ, such as acoustic." in refusal(converted)


def test_a_file_that_is_no_safetensors_is_refused(converted: Path) -> None:
    (converted / "model.safetensors").write_bytes(b"\xff" * 100)
    vouch(converted, "model.safetensors")

    assert "model.safetensors is damaged" in refusal(converted)


def test_the_report_of_each_kind(tiny: TinyModel, converted: Path) -> None:
    tiny.beside_style = {"epoch": 3}
    tiny.write()

    official, report = check_model(tiny.path, sizes=SIZES, voices=2), check_model(converted)

    assert (official.kind, official.dtype, official.voices, official.tokens) == ("official", "fp32", 4, 5)
    assert [voice.name for voice in official.first_voices] == ["Maria Kasper", "George Pilling"]
    assert official.strays == ("checkpoint_163431: epoch",)
    assert official.warnings == ("1 voices are not in README.md: 11614",)
    assert (report.kind, report.revision) == ("converted", official.revision)
    assert report.parameters == official.parameters


def test_the_manifest_needs_no_torch() -> None:
    """A machine that only pulls a model need not have it."""
    code = "import sys, worker.engine.emotivoice.manifest; print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert shown.stdout == "False\n"


def test_a_real_sized_model_is_mapped_and_the_same(official_model: Path, converted_model: Path) -> None:
    official, model = load_model(official_model), load_model(converted_model)

    assert all(torch.equal(model.weights[name], official.weights[name]) for name in official.weights)
    assert model.revision == official.revision == check_model(converted_model).revision
