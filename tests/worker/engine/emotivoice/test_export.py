"""What is exported says what the networks say, on any shape, padded or not."""

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.worker.engine.emotivoice.tiny import SIZES, TinyModel
from worker.engine.emotivoice import export as exporting
from worker.engine.emotivoice.conversion import convert
from worker.engine.emotivoice.export import Options, export, export_graph, largest_difference, open_graph
from worker.engine.emotivoice.export_formats import FORMATS, ExportError, Runner
from worker.engine.emotivoice.graphs import Graph, graphs_of
from worker.engine.emotivoice.layers import length_mask
from worker.engine.emotivoice.loading import load_model
from worker.engine.emotivoice.model import Networks
from worker.engine.emotivoice.pipeline import CPU_LIMITS, Input, mels

NAMES = ("style", "acoustic-predict", "acoustic-frames", "vocoder")
SHAPES = (
    (2,),
    (3, 3),
    (60,),
    (5, 50, 20),
    (1, 1, 1, 1, 9),
)  # lengths of the utterances in a batch: none that is traced


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small converted model, whose durations are as long as a real one's."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny = TinyModel(folder / "official")
    for weight in (*tiny.generator.values(), *tiny.style.values()):
        weight.mul_(0.3)
    convert(tiny.write(), folder / "model", sizes=SIZES)
    return folder / "model"


@pytest.fixture(scope="module")
def networks(model: Path) -> Networks:
    files = load_model(model)
    return Networks.of(files.weights, files.config)


@pytest.fixture
def graphs(networks: Networks) -> dict[str, Graph]:
    return {graph.name: graph for graph in graphs_of(networks)}


@pytest.fixture(scope="module")
def exported(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model as ONNX."""
    folder = tmp_path_factory.mktemp("exported") / "onnx"
    export(model, folder)
    return folder


def difference_on_other_shapes(graph: Graph, run: Runner) -> float:
    return largest_difference(graph, run, torch.Generator().manual_seed(1), SHAPES)


@pytest.mark.parametrize("name", NAMES)
def test_an_onnx_graph_says_what_the_networks_say(graphs: dict[str, Graph], exported: Path, name: str) -> None:
    assert difference_on_other_shapes(graphs[name], open_graph(exported, name)) < 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_a_torch_export_graph_says_what_the_networks_say(graphs: dict[str, Graph], tmp_path: Path, name: str) -> None:
    chosen = FORMATS["torch-export"]

    file = export_graph(graphs[name], tmp_path, chosen).file

    assert difference_on_other_shapes(graphs[name], chosen.open(tmp_path / file)) < 1e-5


def test_a_compiled_graph_says_what_the_networks_say(graphs: dict[str, Graph], tmp_path: Path) -> None:
    chosen = FORMATS["aoti"]
    try:
        chosen.require()
    except ExportError as error:
        pytest.skip(str(error))

    file = export_graph(graphs["vocoder"], tmp_path, chosen).file

    assert difference_on_other_shapes(graphs["vocoder"], chosen.open(tmp_path / file)) < 1e-5


def test_the_graphs_together_speak_as_the_engine_does(networks: Networks, exported: Path) -> None:
    random = torch.Generator().manual_seed(2)
    texts = [torch.randint(SIZES.style.vocabulary, (length,), generator=random) for length in (9, 4, 6, 2)]
    embed, predict, frames, speak = (open_graph(exported, name) for name in NAMES)

    (vectors,) = embed(torch.nn.utils.rnn.pad_sequence(texts, batch_first=True), torch.tensor([9, 4, 6, 2]))
    speaker, controls = networks.acoustic.spk_tokenizer.weight[:2], torch.tensor([[1.0] * 5, [0.5] + [1.0] * 4])
    phonemes, lengths = torch.tensor([[1, 2, 3, 4, 1], [1, 4, 1, 0, 0]]), torch.tensor([5, 3])
    hidden, durations, _, _ = predict(phonemes, lengths, speaker, vectors[:2], vectors[2:], controls)
    totals = durations.sum(dim=1)
    frame_mask = length_mask(totals, int(totals.max())).squeeze(-1)
    (mel,) = frames(hidden, durations, lengths, frame_mask)
    (samples,) = speak(mel, frame_mask)

    inputs = [
        Input((1, 2, 3, 4, 1), speaker[0], networks.style(texts[0][None])[0], networks.style(texts[2][None])[0]),
        Input((1, 4, 1), speaker[1], networks.style(texts[1][None])[0], networks.style(texts[3][None])[0], speed=0.5),
    ]
    expected = mels(networks, inputs, CPU_LIMITS)
    assert [len(each.frames) for each in expected] == [int(total) for total in totals]
    samples_a_frame = samples.shape[1] // mel.shape[1]
    for row, each in zip(samples, expected, strict=True):
        whole = networks.vocoder(each.frames[None])[0]
        assert (row[: len(each.frames) * samples_a_frame] - whole).abs().max() < 1e-5


def test_the_manifest_tells_what_is_there(model: Path, exported: Path) -> None:
    manifest = json.loads((exported / "manifest.json").read_text())

    assert manifest["revision"] == load_model(model).revision
    assert (manifest["format"], manifest["opset"], manifest["torch"]) == ("onnx", 20, torch.__version__)
    assert [graph["name"] for graph in manifest["graphs"]] == list(NAMES)
    assert {graph["file"] for graph in manifest["graphs"]} == {
        path.name for path in exported.iterdir() if path.name != "manifest.json"
    }
    for graph in manifest["graphs"]:
        content = (exported / graph["file"]).read_bytes()
        assert (graph["bytes"], graph["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert 0 <= graph["largest_difference"] < 1e-4
    assert manifest["graphs"][3]["inputs"] == [
        {"name": "mel", "dtype": "float32", "axes": ["batch", "frames", 4]},
        {"name": "frame_mask", "dtype": "bool", "axes": ["batch", "frames"]},
    ]
    assert manifest["graphs"][3]["outputs"] == [
        {"name": "samples", "dtype": "float32", "axes": ["batch", "256*frames"]}
    ]
    assert manifest["graphs"][0]["longest"] == {"tokens": SIZES.style.positions}


@pytest.mark.parametrize("name", NAMES)
def test_an_onnx_file_has_the_names_and_axes_of_the_manifest(exported: Path, name: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    session: Any = onnxruntime.InferenceSession(exported / f"{name}.onnx")
    (graph,) = (each for each in json.loads((exported / "manifest.json").read_text())["graphs"] if each["name"] == name)

    for values, found in ((graph["inputs"], session.get_inputs()), (graph["outputs"], session.get_outputs())):
        assert [(each.name, each.shape) for each in found] == [(value["name"], value["axes"]) for value in values]


def test_no_file_tells_the_paths_of_this_machine(graphs: dict[str, Graph], exported: Path, tmp_path: Path) -> None:
    export_graph(graphs["vocoder"], tmp_path, FORMATS["torch-export"], check=False)

    here = str(Path(exporting.__file__).parents[3]).encode()
    assert not [path.name for path in (*exported.iterdir(), *tmp_path.iterdir()) if here in path.read_bytes()]


def test_an_export_is_replaced_only_on_request(model: Path, tmp_path: Path) -> None:
    output, fast = tmp_path / "out", Options("torch-export", check=False)
    first = export(model, output, fast)

    with pytest.raises(ExportError, match="--force replaces it"):
        export(model, output, fast)
    second = export(model, output, replace(fast, replace=True))

    assert [graph.largest_difference for graph in second.graphs] == [None] * 4
    assert [graph.name for graph in second.graphs] == [graph.name for graph in first.graphs]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_no_export_is_left_alone(model: Path) -> None:
    with pytest.raises(ExportError, match="is no exported model; it is left alone"):
        export(model, model, Options(replace=True))


def test_an_export_that_says_something_else_is_not_kept(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = FORMATS["torch-export"]

    def wrong(path: Path) -> Runner:
        run = right.open(path)
        return lambda *inputs: tuple(output + 0.001 for output in run(*inputs))

    monkeypatch.setitem(FORMATS, "torch-export", replace(right, open=wrong))

    with pytest.raises(ExportError, match=r"style differs from the networks by 0\.001, more than 0\.0001"):
        export(model, tmp_path / "out", Options("torch-export"))
    assert list(tmp_path.iterdir()) == []


def test_one_frame_more_or_less_is_a_difference(graphs: dict[str, Graph]) -> None:
    graph = graphs["acoustic-predict"]

    def longer(*inputs: Tensor) -> tuple[Tensor, ...]:
        hidden, durations, *rest = graph(*inputs)
        return hidden, durations + (torch.arange(durations.shape[1]) == 0), *rest

    assert difference_on_other_shapes(graph, graph) < 1e-5
    assert difference_on_other_shapes(graph, longer) == np.inf


def test_without_a_compiler_one_sentence_says_so(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))

    with pytest.raises(ExportError, match=r"^AOTInductor needs a C\+\+ compiler, and there is none"):
        export(model, tmp_path / "out", Options("aoti"))


def test_without_onnx_one_sentence_says_so(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)

    with pytest.raises(ExportError, match=r"^ONNX needs what is not installed: onnxscript; to install it"):
        export(model, tmp_path / "out")
