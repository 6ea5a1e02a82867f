"""Batches of one sentence on a GPU: how fast, how busy, how much memory."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from worker.engine.emotivoice.engine import EmotiVoiceEngine
from worker.engine.options import EngineOptions
from worker.engine.speech import Utterance

ROUNDS = 5


def gpu_rows(model: Path, text: str, *, batches: Sequence[int]) -> list[dict[str, Any]]:
    """One row for each precision and batch size; every text differs, so that nothing is found in a cache."""
    rows: list[dict[str, Any]] = []
    for precision in ("fp32", "fp16"):
        engine = EmotiVoiceEngine.load(EngineOptions(model_dir=model, device="cuda", precision=precision))
        engine.warm_up()
        rows += [_row(engine, precision, text, size) for size in batches]
        del engine
        torch.cuda.empty_cache()
    return rows


def _row(engine: EmotiVoiceEngine, precision: str, text: str, size: int) -> dict[str, Any]:
    def speak(number: int) -> tuple[float, float]:
        utterances = [Utterance(f"{text}{number}{place}", "8051") for place in range(size)]
        torch.cuda.synchronize()
        started = time.perf_counter()
        speeches = engine.synthesize(utterances)
        torch.cuda.synchronize()
        return time.perf_counter() - started, sum(speech.waveform.seconds for speech in speeches)

    speak(0)
    torch.cuda.reset_peak_memory_stats()
    seconds, audio = min(speak(number) for number in range(1, 1 + ROUNDS))
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        wall, _ = speak(1 + ROUNDS)
    events: Any = profiled.key_averages()
    computing = sum(event.self_device_time_total for event in events) / 1e6
    return {
        "gpu": torch.cuda.get_device_name(),
        "precision": precision,
        "batch": size,
        "real-time factor": seconds / audio,
        "audio seconds per second": audio / seconds,
        "share of the time it computes": min(computing / wall, 1.0),
        "peak memory, GB": torch.cuda.max_memory_allocated() / 1e9,
    }
