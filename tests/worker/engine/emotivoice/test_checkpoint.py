"""The official files: what is accepted, what is refused, and what is said then."""

import io
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.worker.engine.emotivoice.tiny import GENERATOR, SIZES, STYLE, TinyModel, new_norm
from worker.engine.emotivoice.checkpoint import fold
from worker.engine.emotivoice.errors import CheckpointError
from worker.engine.emotivoice.loading import load_model
from worker.engine.emotivoice.shapes import expected_shapes


@pytest.fixture
def tiny(tmp_path: Path) -> TinyModel:
    return TinyModel(tmp_path / "model")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def refusal(tiny: TinyModel) -> str:
    with pytest.raises(CheckpointError) as caught:
        tiny.load()
    return str(caught.value)


def test_the_expected_weights_are_those_of_the_official_files(reference: Path) -> None:
    rows = [line.split("\t") for line in (reference / "params.tsv").read_text().splitlines()[1:]]
    training = ("alignment_module", "_clf.", "style_embed_proj", "position_ids", "weight_g")
    official = {name: shape for _, name, shape, _ in rows if not any(part in name for part in training)}
    prefixes = {"acoustic.": "am.", "vocoder.": "generator.", "style.": "module.bert."}

    def theirs(name: str) -> str:
        network = next(network for network in prefixes if name.startswith(network))
        plain = prefixes[network] + name.removeprefix(network)
        return f"{plain}_v" if network == "vocoder." and name.endswith(".weight") else plain

    ours = {theirs(name): "x".join(map(str, shape)) or "scalar" for name, shape in expected_shapes().items()}
    assert ours == official


def test_the_weights_are_named_as_the_modules_name_them(tiny: TinyModel) -> None:
    model = tiny.load()

    assert {name: tuple(weight.shape) for name, weight in model.weights.items()} == expected_shapes(SIZES)
    assert all(weight.dtype == torch.float32 for weight in model.weights.values())
    assert model.parameters() == {
        network: sum(weight.numel() for name, weight in model.weights.items() if name.startswith(network))
        for network in ("acoustic", "vocoder", "style")
    }


@pytest.mark.parametrize("transposed", [False, True])
def test_weight_norm_is_folded_as_torch_does_it(transposed: bool) -> None:
    layer = torch.nn.ConvTranspose1d(3, 5, 4) if transposed else torch.nn.Conv1d(3, 5, 4)
    normed: Any = torch.nn.utils.parametrizations.weight_norm(layer)
    with torch.no_grad():
        normed.parametrizations.weight.original0.mul_(torch.rand(3 if transposed else 5, 1, 1) + 0.5)
    state = normed.state_dict()

    folded = fold(state["parametrizations.weight.original0"], state["parametrizations.weight.original1"])

    torch.testing.assert_close(folded, normed.weight.detach(), rtol=1e-6, atol=1e-7)


def test_both_names_of_weight_norm_are_the_same_model(tiny: TinyModel) -> None:
    old = tiny.load()
    tiny.generator = new_norm(tiny.generator)
    new = tiny.load()

    assert any("original0" in name for name in tiny.generator)
    assert same(old.weights, new.weights)
    assert old.revision == new.revision


def test_folded_weights_are_taken_as_they_are(tiny: TinyModel) -> None:
    model = tiny.load()
    tiny.generator = {name: value for name, value in tiny.generator.items() if "weight_" not in name}
    tiny.generator |= {
        "generator." + name.removeprefix("vocoder."): weight
        for name, weight in model.weights.items()
        if name.startswith("vocoder.")
    }

    assert same(tiny.load().weights, model.weights)


@pytest.mark.parametrize("prefix", ["module.", "module.module."])
def test_a_module_prefix_is_dropped_wherever_it_is(tiny: TinyModel, prefix: str) -> None:
    model = tiny.load()
    tiny.generator = {prefix + name: value for name, value in tiny.generator.items()}
    tiny.style = {
        name.removeprefix("module.") if "pooler" in name else name: value for name, value in tiny.style.items()
    }

    assert same(tiny.load().weights, model.weights)


def test_what_only_training_needs_is_left_out_and_counted(tiny: TinyModel) -> None:
    model = tiny.load()
    assert model.training_only == 0
    heads = ("pitch_clf.classifier.weight", "emotion_clf.classifier.bias", "style_embed_proj.weight")
    tiny.generator |= {"am.alignment_module.t_conv1.weight": torch.zeros(2)}
    tiny.style |= {f"module.{name}": torch.zeros(3) for name in heads}
    tiny.style["module.bert.embeddings.position_ids"] = torch.arange(16).unsqueeze(0)
    tiny.beside_generator = {"steps": 140_000}
    tiny.beside_style = {"optimizer": {"state": {}}, "epoch": 3}

    fuller = tiny.load()

    assert same(fuller.weights, model.weights)
    assert fuller.revision == model.revision
    assert fuller.training_only == 5
    assert fuller.strays == ("g_00140000: steps", "checkpoint_163431: optimizer", "checkpoint_163431: epoch")


def test_an_ordered_dict_and_parameters_are_fine(tiny: TinyModel) -> None:
    model = tiny.load()
    tiny.generator = OrderedDict((name, torch.nn.Parameter(value)) for name, value in tiny.generator.items())

    loaded = tiny.load().weights

    assert same(loaded, model.weights)
    assert not any(weight.requires_grad for weight in loaded.values())


def test_the_old_file_format_is_read(tiny: TinyModel) -> None:
    model = tiny.load()
    content = {"generator": tiny.generator}
    torch.save(content, tiny.path / GENERATOR, _use_new_zipfile_serialization=False)

    assert same(load_model(tiny.path, sizes=SIZES).weights, model.weights)


def test_half_precision_is_widened_and_told(tiny: TinyModel) -> None:
    tiny.generator = {name: value.half() for name, value in tiny.generator.items()}

    model = tiny.load()

    assert all(weight.dtype == torch.float32 for weight in model.weights.values())
    assert model.warnings[-1] == "the weights are stored as float16 and float32; they are used as float32"


def test_other_weights_are_another_revision(tiny: TinyModel) -> None:
    before = tiny.load().revision
    tiny.style["module.bert.pooler.dense.bias"] += 1e-3

    assert tiny.load().revision != before


def test_every_fault_is_in_one_sentence(tiny: TinyModel) -> None:
    del tiny.generator["am.to_mel.bias"]
    tiny.generator["am.to_mel.weight"] = torch.zeros(3, 8)
    tiny.generator["am.postnet.weight"] = torch.zeros(1)
    tiny.generator["am.encoder.after_norm.bias"] = [1.0, 2.0]
    tiny.generator["am.src_word_emb.weight"] = torch.zeros(5, 8, dtype=torch.int64)
    tiny.generator["module.generator.conv_pre.bias"] = torch.zeros(8)
    del tiny.style["module.bert.pooler.dense.bias"]

    said = refusal(tiny)

    assert "g_00140000 does not hold this model" in said
    assert "missing: am.to_mel.bias;" in said
    assert "unexpected: am.postnet.weight;" in said
    assert "there twice: module.generator.conv_pre.bias;" in said
    assert "of another shape: am.to_mel.weight is 3x8 instead of 4x8;" in said
    assert "not a tensor: am.encoder.after_norm.bias is list;" in said
    assert "not floating point: am.src_word_emb.weight is int64;" in said
    assert "checkpoint_163431 does not hold this model: missing: bert.pooler.dense.bias" in said


def test_of_many_faults_the_first_are_named_and_the_rest_counted(tiny: TinyModel) -> None:
    tiny.style = {name: value for name, value in tiny.style.items() if ".layer.0." not in name}

    assert refusal(tiny).endswith("bert.encoder.layer.0.attention.self.value.weight and 11 more")


def test_half_of_a_weight_norm_is_missing(tiny: TinyModel) -> None:
    del tiny.generator["generator.conv_post.weight_g"]

    assert "missing: generator.conv_post.weight_g" in refusal(tiny)


def test_a_weight_that_is_there_folded_too_is_unexpected(tiny: TinyModel) -> None:
    tiny.generator["generator.conv_post.weight"] = tiny.generator["generator.conv_post.weight_v"]

    assert "unexpected: generator.conv_post.weight" in refusal(tiny)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    ("name", "told"),
    [("am.to_mel.weight", "acoustic.to_mel.weight"), ("generator.ups.1.weight_v", "vocoder.ups.1.weight")],
)
def test_a_weight_that_is_not_finite_is_named(tiny: TinyModel, name: str, told: str, value: float) -> None:
    tiny.generator[name].view(-1)[3] = value

    assert refusal(tiny).endswith(f"are not finite (NaN or infinite): {told}")


def test_large_finite_weights_are_fine(tiny: TinyModel) -> None:
    tiny.generator["am.to_mel.weight"].fill_(3e38)

    tiny.load()


def test_a_file_of_something_else_tells_what_it_holds(tiny: TinyModel) -> None:
    tiny.write()
    torch.save({"mpd": {}, "optim_g": {}}, tiny.path / GENERATOR)

    with pytest.raises(CheckpointError, match="has no weights under the name 'generator'; it holds mpd, optim_g"):
        load_model(tiny.path, sizes=SIZES)


@pytest.mark.parametrize("content", [torch.zeros(3), [1, 2]])
def test_a_file_without_a_dictionary_is_refused(tiny: TinyModel, content: object) -> None:
    tiny.write()
    torch.save(content, tiny.path / STYLE)

    with pytest.raises(CheckpointError, match=r"checkpoint_163431 holds a \w+; a file of weights is a dictionary"):
        load_model(tiny.path, sizes=SIZES)


class Evil:
    """What a pickle can do to who reads it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_never_run(tiny: TinyModel, tmp_path: Path, zipped: bool) -> None:
    tiny.write()
    content = {"generator": tiny.generator, "extra": Evil(tmp_path / "ran")}
    torch.save(content, tiny.path / GENERATOR, _use_new_zipfile_serialization=zipped)

    with pytest.raises(CheckpointError, match=r"g_00140000 holds more than tensors and numbers \(posix.mkdir\)"):
        load_model(tiny.path, sizes=SIZES)
    assert not (tmp_path / "ran").exists()


def test_a_plain_pickle_is_no_file_of_weights(tiny: TinyModel, tmp_path: Path) -> None:
    tiny.write()
    (tiny.path / GENERATOR).write_bytes(pickle.dumps(Evil(tmp_path / "ran")))

    with pytest.raises(CheckpointError, match="g_00140000"):
        load_model(tiny.path, sizes=SIZES)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("part", [0, 1, 3, 100, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(tiny: TinyModel, part: float, zipped: bool) -> None:
    tiny.write()
    buffer = io.BytesIO()
    torch.save({"generator": tiny.generator}, buffer, _use_new_zipfile_serialization=zipped)
    whole = buffer.getvalue()
    (tiny.path / GENERATOR).write_bytes(whole[: int(part * len(whole)) if part < 1 else int(part)])

    with pytest.raises(CheckpointError, match=r"g_00140000 is no file of weights, or is damaged or incomplete \(\d"):
        load_model(tiny.path, sizes=SIZES)


def test_a_pointer_of_git_lfs_is_told_as_such(tiny: TinyModel) -> None:
    tiny.write()
    (tiny.path / STYLE).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 386000000\n")

    with pytest.raises(CheckpointError, match=r"checkpoint_163431 is a pointer to the weights.*git lfs pull"):
        load_model(tiny.path, sizes=SIZES)


def test_a_real_sized_model_is_loaded(official_model: Path) -> None:
    model = load_model(official_model)

    assert sum(model.parameters().values()) == 148_544_598
    assert model.training_only == 21
    assert (len(model.tokens), len(model.speakers), len(model.voices)) == (502, 2014, 2014)
    assert model.warnings == ()
    assert model.voices[0].name == "Maria Kasper"
