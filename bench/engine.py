"""The EmotiVoice engine beside the plain way to compute the same model: `python -m bench.engine MODEL_DIR`.

MODEL_DIR holds the official files; a conversion of them is made in a temporary folder. Each figure is a ratio of two
child processes that take turns, on one CPU thread; of each the fastest of the rounds counts. With a GPU a second table
follows: batch sizes and precisions.

1. whole utterances: text to samples, against the plain path (bench/plain.py says what that is);
2. first audio of a sentence of about 7.5 s, against the whole of it on the plain path;
3. peak memory of 77 s in one call;
4. process start to the first sound from converted files, against the official files the original way;
5. bf16 against fp32.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

FRAMES = (500, 1000, 1250, 1500, 2000)
LONG_FRAMES = 4812  # 77 s
SENTENCE_FRAMES = 470  # 7.5 s
VOICE, PROMPT = "8051", "非常开心"
SYLLABLES = "今天天气真好我们一起去公园散步吧路上有很多人在唱歌跳舞孩子们笑得很开心老人坐在树下聊天"
FRAMES_PER_SYLLABLE = 23.0  # of random weights with realistic durations; official ones speak a little faster
GPU_BATCHES = (1, 8, 32, 64)

Figures = dict[str, float]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    ours: float
    plain: float
    unit: str
    ratio: float
    bar: str = ""
    passed: bool | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a folder with the official files")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each pair of processes")
    parser.add_argument("--frames", type=int, nargs="+", default=list(FRAMES), help="lengths of whole utterances")
    parser.add_argument("--output", type=Path, default=Path("bench/results/engine.json"))
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        task, *arguments = options.child
        print(json.dumps(CHILDREN[task](options.model, *arguments)))
        return
    with tempfile.TemporaryDirectory() as folder:
        converted = _convert(options.model, Path(folder))
        bench = _Bench(options.model, converted, options.rounds)
        rows = [*bench.whole_utterances(options.frames), *bench.rest()]
        gpu = bench.gpu()
    _print(rows, gpu)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    result = {"machine": _machine(), "rows": [asdict(row) for row in rows], "gpu": gpu}
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    sys.exit(any(row.passed is False for row in rows))


@dataclass(frozen=True)
class _Bench:
    official: Path
    converted: dict[str, Path]
    rounds: int

    def whole_utterances(self, lengths: Sequence[int]) -> list[Row]:
        rows: list[Row] = []
        for frames in lengths:
            ours, plain = self._turns(("ours", frames), ("plain", frames))
            bar = "at least 1.4 times" if frames >= 1000 else ""
            ratio = plain["seconds"] / ours["seconds"]
            name = f"{int(ours['frames'])} frames, {ours['frames'] * 0.016:.1f} s of audio"
            rows.append(Row(name, ours["seconds"], plain["seconds"], "s", ratio, bar, ratio >= 1.4 if bar else None))
        return rows

    def rest(self) -> list[Row]:
        first, plain = self._turns(("first", SENTENCE_FRAMES), ("plain", SENTENCE_FRAMES))
        ratio = first["seconds"] / plain["seconds"]
        rows = [Row("first audio of 7.5 s", first["seconds"], plain["seconds"], "s", ratio, "≤ 0.25", ratio <= 0.25)]
        ours, plain = self._turns(("ours", LONG_FRAMES), ("plain", LONG_FRAMES), rounds=1)
        peak = ours["peak_gb"]
        rows.append(Row("peak of 77 s", peak, plain["peak_gb"], "GB", peak / plain["peak_gb"], "< 1.6 GB", peak < 1.6))
        warm, original = self._turns(("start", 0), ("original_start", 0), clock="total_seconds")
        for name, key, bar in (
            ("process start to warm", "total_seconds", "≤ 0.5"),
            ("of that, without importing torch", "own_seconds", ""),
        ):
            ratio = warm[key] / original[key]
            rows.append(Row(name, warm[key], original[key], "s", ratio, bar, ratio <= 0.5 if bar else None))
        half, full = self._turns(("bf16", 1000), ("ours", 1000))
        rows.append(
            Row("bf16 to fp32, 1000 frames", half["seconds"], full["seconds"], "s", half["seconds"] / full["seconds"])
        )
        return rows

    def gpu(self) -> list[dict[str, Any]]:
        return _child("gpu", self.converted["fp32"], [])["rows"]

    def _turns(
        self, ours: tuple[str, int], plain: tuple[str, int], *, rounds: int | None = None, clock: str = "seconds"
    ) -> tuple[Figures, Figures]:
        """Run both in turn; return the fastest run of each."""
        found: list[list[Figures]] = [[], []]
        for _ in range(rounds or self.rounds):
            for (task, frames), runs in zip((ours, plain), found, strict=True):
                model = self.official if task in ("plain", "original_start") else self.converted["fp32"]
                model = self.converted["bf16"] if task == "bf16" else model
                runs.append(_child(task, model, [str(frames)]))
        first, second = (min(runs, key=lambda figures: figures[clock]) for runs in found)
        return first, second


def _convert(model: Path, folder: Path) -> dict[str, Path]:
    from worker.engine.emotivoice.conversion import convert

    folders = {dtype: folder / dtype for dtype in ("fp32", "bf16")}
    for dtype, output in folders.items():
        convert(model, output, dtype=dtype)  # pyright: ignore[reportArgumentType] - two of its literals
    return folders


def _child(task: str, model: Path, arguments: Sequence[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.engine", str(model), "--child", task, *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "BENCH_STARTED": str(time.time())}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


# What runs in a process of its own: figures from a model folder and a length.


def _ours(model: Path, frames: str, *, first: bool = False) -> Figures:
    """Text to samples by the engine; the second time, when prompt and dictionaries are known, as in a worker."""
    from worker.engine.emotivoice.engine import EmotiVoiceEngine
    from worker.engine.options import EngineOptions
    from worker.engine.speech import Utterance

    engine = EmotiVoiceEngine.load(EngineOptions(model_dir=model, device="cpu"))
    engine.warm_up()
    list(engine.stream(Utterance("你好", VOICE, emotion=PROMPT)))
    text = _text_of(int(frames))
    utterance = Utterance(text, VOICE, emotion=PROMPT)
    started = time.perf_counter()
    if first:
        next(engine.stream(utterance))
        return {"seconds": time.perf_counter() - started}
    (speech,) = engine.synthesize([utterance])
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "frames": speech.waveform.seconds / 0.016, "peak_gb": _peak_gb()}


def _first(model: Path, frames: str) -> Figures:
    return _ours(model, frames, first=True)


def _plain(model: Path, frames: str) -> Figures:
    """The same text on the plain path, which has spoken before too."""
    import torch

    from bench.plain import load_plain

    torch.set_num_threads(1)
    path = load_plain(model)
    arguments = _encoded(model, int(frames))
    path.speak(arguments[0][:8], *arguments[1:])
    started = time.perf_counter()
    samples = path.speak(*arguments)
    return {"seconds": time.perf_counter() - started, "frames": len(samples) / 256, "peak_gb": _peak_gb()}


def _encoded(model: Path, frames: int, *, text: str = "") -> tuple[list[int], int, list[int], list[int]]:
    """Phonemes, speaker, prompt and content as the networks take them."""
    from tokenizers import BertWordPieceTokenizer

    from worker.engine.emotivoice.folder import find_model
    from worker.engine.emotivoice.frontend import Frontend
    from worker.engine.emotivoice.voices import read_lines

    folder = find_model(model)
    tokens = read_lines(folder.tokenlist)
    text = text or _text_of(frames)
    words = BertWordPieceTokenizer(str(folder.vocabulary), lowercase=True, strip_accents=True)
    phonemes = [tokens.index(token) for token in Frontend(tokens).phonemes(text).tokens]
    return phonemes, read_lines(folder.speakers).index(VOICE), words.encode(PROMPT).ids, words.encode(text).ids[:512]


def _text_of(frames: int) -> str:
    """Chinese text of about so many frames."""
    count = max(4, round(frames / FRAMES_PER_SYLLABLE))
    return "".join(SYLLABLES[i % len(SYLLABLES)] for i in range(count))


def _start(model: Path, _: str) -> Figures:
    """Process start to the first sound, by our own loader."""
    importing = time.time()
    import torch

    torch.set_num_threads(1)
    imported = time.time()
    from worker.engine.emotivoice.engine import EmotiVoiceEngine
    from worker.engine.options import EngineOptions

    EmotiVoiceEngine.load(EngineOptions(model_dir=model, device="cpu")).warm_up()
    return _phases(importing, imported, time.time())


def _original_start(model: Path, _: str) -> Figures:
    """The same with the official files, the original way, and with our front end; the original's imports are longer."""
    importing = time.time()
    import torch

    torch.set_num_threads(1)
    imported = time.time()
    from bench.plain import load_plain

    load_plain(model).speak(*_encoded(model, 0, text="好"))
    return _phases(importing, imported, time.time())


def _phases(importing: float, imported: float, done: float) -> Figures:
    started = float(os.environ["BENCH_STARTED"])
    own = done - started - (imported - importing)
    return {"total_seconds": done - started, "own_seconds": own}


def _gpu(model: Path) -> dict[str, Any]:
    """Batches on the first CUDA device, if there is one."""
    import torch

    if not torch.cuda.is_available():
        return {"rows": []}
    from bench.gpu import gpu_rows

    return {"rows": gpu_rows(model, _text_of(SENTENCE_FRAMES), batches=GPU_BATCHES)}


CHILDREN: dict[str, Callable[..., dict[str, Any]]] = {
    "ours": _ours,
    "bf16": _ours,
    "first": _first,
    "plain": _plain,
    "start": _start,
    "original_start": _original_start,
    "gpu": _gpu,
}


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9  # Linux counts in KiB


def _machine() -> dict[str, Any]:
    return {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}


def _print(rows: Sequence[Row], gpu: Sequence[dict[str, Any]]) -> None:
    table = Table("figure", "ours", "plain", "", "ratio", "bar", "", title="EmotiVoice on one CPU thread")
    for row in rows:
        verdict = {None: "", True: "met", False: "MISSED"}[row.passed]
        table.add_row(row.name, f"{row.ours:.2f}", f"{row.plain:.2f}", row.unit, f"{row.ratio:.2f}", row.bar, verdict)
    Console().print(table)
    if gpu:
        columns = Table(*gpu[0], title="EmotiVoice on the GPU")
        for line in gpu:
            columns.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in line.values()))
        Console().print(columns)


if __name__ == "__main__":
    main()
