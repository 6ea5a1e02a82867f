"""What exported networks cost and bring, against the networks themselves, on one thread of this machine's CPU.

    python -m bench.exports DIR WORK

DIR is a converted model; the exports go into WORK. Runs are interleaved, and the least time of each is shown.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from worker.engine.emotivoice.export import export_graph, largest_difference
from worker.engine.emotivoice.export_formats import FORMATS
from worker.engine.emotivoice.graphs import Graph, Tensors, graphs_of
from worker.engine.emotivoice.loading import load_model
from worker.engine.emotivoice.model import Networks

ROUNDS = 7
STARTS = 4
PHONEMES = (60, 150)
FRAMES = (64, 282)

# Each loads the acoustic model and the vocoder in a new process, and speaks 64 frames.
START = {
    "eager": """
import sys; from pathlib import Path; import torch; torch.set_num_threads(1)
from worker.engine.emotivoice.loading import load_model
from worker.engine.emotivoice.model import Networks
files = load_model(Path(sys.argv[1])); networks = Networks.of(files.weights, files.config)
networks.vocoder(torch.zeros(1, 64, 80))
""",
    "torch-export": """
import sys, torch; torch.set_num_threads(1)
graphs = [torch.export.load(path).module() for path in sys.argv[2:]]
graphs[-1](torch.zeros(1, 64, 80), torch.ones(1, 64, dtype=torch.bool))
""",
    "aoti": """
import sys, torch; torch.set_num_threads(1)
graphs = [torch._inductor.aoti_load_package(path) for path in sys.argv[2:]]
graphs[-1](torch.zeros(1, 64, 80), torch.ones(1, 64, dtype=torch.bool))
""",
    "aoti, its C++ loader": """
import sys, torch; torch.set_num_threads(1)
graphs = [torch._C._aoti.AOTIModelPackageLoader(path, "model", False, 1, -1) for path in sys.argv[2:]]
graphs[-1].boxed_run([torch.zeros(1, 64, 80), torch.ones(1, 64, dtype=torch.bool)])
""",
    "onnx": """
import sys, numpy, onnxruntime
options = onnxruntime.SessionOptions(); options.intra_op_num_threads = 1
graphs = [onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]) for path in sys.argv[2:]]
graphs[-1].run(None, {"mel": numpy.zeros((1, 64, 80), "float32"), "frame_mask": numpy.ones((1, 64), bool)})
""",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--exported", action="store_true", help="the exports are in WORK already")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    files = load_model(arguments.model)
    networks = Networks.of(files.weights, files.config)
    graphs = {graph.name: graph for graph in graphs_of(networks)}
    if not arguments.exported:
        show_exports(graphs, arguments.work)
    show_starts(arguments.model, arguments.work)
    show_runs(graphs, arguments.work)


def show_exports(graphs: dict[str, Graph], work: Path) -> None:
    print("\n| graph | format | export, s | size, MB | largest difference |\n|---|---|---:|---:|---:|")
    for name, graph in graphs.items():
        for kind, chosen in FORMATS.items():
            (work / kind).mkdir(parents=True, exist_ok=True)
            start = time.perf_counter()
            export_graph(graph, work / kind, chosen, check=False)
            seconds = time.perf_counter() - start
            checked = export_graph(graph, work / kind, chosen) if kind != "aoti" else None
            difference = checked.largest_difference if checked else compared(graph, work / kind, kind)
            size = (work / kind / (name + chosen.suffix)).stat().st_size / 1e6
            print(f"| {name} | {kind} | {seconds:.1f} | {size:.0f} | {difference:.1e} |", flush=True)


def compared(graph: Graph, folder: Path, kind: str) -> float:
    """Of a graph that was exported already, since compiling it again takes long."""
    run = FORMATS[kind].open(folder / (graph.name + FORMATS[kind].suffix))
    return largest_difference(graph, run, torch.Generator().manual_seed(0))


def show_starts(model: Path, work: Path) -> None:
    found = dict.fromkeys(START, float("inf"))
    for _ in range(STARTS):
        for kind, code in START.items():
            names = ("acoustic-predict", "acoustic-frames", "vocoder")
            folder = kind.partition(",")[0]
            paths = [work / folder / (name + FORMATS[folder].suffix) for name in names] if folder in FORMATS else []
            start = time.perf_counter()
            subprocess.run([sys.executable, "-W", "ignore", "-c", code, model, *paths], check=True)
            found[kind] = min(found[kind], time.perf_counter() - start)
    print("\n| | " + " | ".join(found) + " |\n|---|" + "---:|" * len(found))
    print("| start, s | " + " | ".join(f"{seconds:.2f}" for seconds in found.values()) + " |", flush=True)


def show_runs(graphs: dict[str, Graph], work: Path) -> None:
    kinds = ("eager", "eager, masked", *FORMATS)
    print("\n| | " + " | ".join(kinds) + " |\n|---|" + "---:|" * len(kinds))
    loads = {
        kind: {name: partial(open_from, work, kind, name) for name in graphs if name != "style"} for kind in FORMATS
    }
    opened = {kind: {name: load() for name, load in loads[kind].items()} for kind in FORMATS}
    for name in ("acoustic-predict", "acoustic-frames", "vocoder"):
        found = least({kind: loads[kind][name] for kind in FORMATS}, rounds=3)
        print(
            f"| {name}: load, ms | | | " + " | ".join(f"{found[kind] * 1e3:.0f}" for kind in FORMATS) + " |", flush=True
        )
    random = torch.Generator().manual_seed(3)
    for count in PHONEMES:
        graph = graphs["acoustic-predict"]
        utterance = graph.example(count, random)
        utterance[-1].fill_(1.0)  # the controls change nothing
        show_run(f"acoustic-predict: {count} phonemes, ms", graph, utterance, opened)
        hidden, durations, _, _ = graph.alone(*utterance)
        frames = f"acoustic-frames: {count} phonemes, {int(durations.sum())} frames, ms"
        show_run(frames, graphs["acoustic-frames"], (hidden, durations), opened)
    for count in FRAMES:
        graph = graphs["vocoder"]
        show_run(f"vocoder: {count} frames, ms", graph, graph.example(count, random), opened)


def open_from(work: Path, kind: str, name: str) -> Callable[..., Tensors]:
    return FORMATS[kind].open(work / kind / (name + FORMATS[kind].suffix))


def show_run(
    title: str, graph: Graph, utterance: Tensors, opened: dict[str, dict[str, Callable[..., Tensors]]]
) -> None:
    inputs = graph.batch([utterance])
    found = least(
        {
            "eager": lambda: graph.alone(*utterance),
            "eager, masked": lambda: graph(*inputs),
            **{kind: partial(of_kind[graph.name], *inputs) for kind, of_kind in opened.items()},
        },
        rounds=ROUNDS,
    )
    print(f"| {title} | " + " | ".join(f"{seconds * 1e3:.1f}" for seconds in found.values()) + " |", flush=True)


def least(
    actions: dict[str, Callable[[], Tensors | Callable[..., Tensors] | Tensor]], *, rounds: int
) -> dict[str, float]:
    """The least seconds of each, taken in turn; the first turn does not count."""
    found = dict.fromkeys(actions, float("inf"))
    for turn in range(rounds + 1):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            seconds = time.perf_counter() - start
            if turn:
                found[name] = min(found[name], seconds)
    return found


if __name__ == "__main__":
    main()
