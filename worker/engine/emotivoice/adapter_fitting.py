"""Fit the voice adapter of a model to the voices of its table, and measure it on voices that it was not fitted to."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voices.encoder import Floats, SpeakerEncoder, load_encoder
from worker.engine.emotivoice.adapter import Adapter, Measured
from worker.engine.emotivoice.adapter_methods import METHODS, Method
from worker.engine.emotivoice.device import find_device, find_precision
from worker.engine.emotivoice.engine import EmotiVoiceEngine
from worker.engine.emotivoice.errors import ModelFolderError
from worker.engine.emotivoice.folder import ADAPTER, ModelFolder
from worker.engine.emotivoice.heard_voices import HeardVoices
from worker.engine.emotivoice.imitation import spread
from worker.engine.emotivoice.listening import OTHER_SENTENCES, SENTENCES, Speak, TorchEncoder, heard
from worker.engine.emotivoice.loading import ModelFiles, load_model
from worker.engine.emotivoice.manifest import FileEntry, set_entry, sha256
from worker.engine.emotivoice.speakers import LARGEST_IN_VECTOR, AnyVoice

FOLDS = 5  # a voice is predicted by what was fitted to the four parts of the voices that it is not in
LEAST_VOICES = 2 * FOLDS
AT_ONCE = 8  # voices that are spoken in one call of the engine
SEED = 0

Ints = NDArray[np.int64]
Progress = Callable[[str, int, int], None]  # what is done, how many of it are, of how many


@dataclass(frozen=True)
class FitOptions:
    """How much is spoken."""

    voices: int | None = None  # of the table, evenly spread; None is all of them
    held_out: int = 48  # of these that are spoken as each method would have them
    sentences: tuple[str, ...] = SENTENCES  # by which the voices are known
    other_sentences: tuple[str, ...] = (
        OTHER_SENTENCES  # by which the methods are compared: a clip says other things too
    )


@dataclass(frozen=True, eq=False)
class Ear:
    """Hears voices of a model."""

    speak: Speak
    encoder: SpeakerEncoder
    progress: Progress

    def hear(self, what: str, voices: list[AnyVoice], sentences: tuple[str, ...]) -> Floats:
        """Return what `heard` does, a few voices at a time."""
        found: list[Floats] = []
        for start in range(0, len(voices), AT_ONCE):
            found.append(heard(self.speak, voices[start : start + AT_ONCE], sentences, self.encoder))
            self.progress(what, min(start + AT_ONCE, len(voices)), len(voices))
        return np.concatenate(found)


def fit_adapter(
    folder: Path, options: FitOptions, *, device: str = "auto", replace: bool = False, progress: Progress
) -> Adapter:
    """Fit an adapter and write it into the model's folder. What was heard of a fit that was cut is not spoken again.

    Args:
        replace: whether an adapter that is there may be replaced.
    Raises:
        ModelFolderError: the folder is no model, can't be written, has too few voices, or an adapter is there.
        EngineError: the model can't speak.
    """
    _require_free(folder, replace=replace)
    where = find_device(device)
    files = load_model(folder, device=str(where))
    engine = EmotiVoiceEngine(files, dtype=find_precision("auto", where, files.dtype))
    ear = Ear(engine.synthesize, TorchEncoder.of(load_encoder(), where), progress)
    adapter = fitted(files, ear, options)
    _put(adapter, files.folder)
    HeardVoices.forget(folder)
    return adapter


def _put(adapter: Adapter, folder: ModelFolder) -> None:
    """Write it. At every moment a converted folder is as its manifest tells."""
    if folder.kind != "converted":
        adapter.save(folder.path)
        return
    set_entry(folder.path, ADAPTER, None)
    path = adapter.save(folder.path)
    set_entry(folder.path, ADAPTER, FileEntry(path.stat().st_size, sha256(path)))


def _require_free(folder: Path, *, replace: bool) -> None:
    if (folder / ADAPTER).exists() and not replace:
        raise ModelFolderError(f"{folder / ADAPTER} is there already; --force replaces it")
    if folder.is_dir() and not os.access(folder, os.W_OK):
        raise ModelFolderError(f"{folder} can't be written, and the adapter has to lie beside the model")


def fitted(files: ModelFiles, ear: Ear, options: FitOptions) -> Adapter:
    """Hear the voices, compare the methods, and fit the best of them to all voices that were heard."""
    rows = spread(len(files.voices), options.voices or len(files.voices))
    if len(rows) < LEAST_VOICES:
        raise ModelFolderError(f"an adapter needs {LEAST_VOICES} voices at least; here are {len(rows)}")
    table = files.weights["acoustic.spk_tokenizer.weight"].float().cpu().numpy()
    embeddings = _table_embeddings(files, ear, rows, options.sentences)
    voices = _Voices([files.voices[row].id for row in rows], embeddings, table[rows])
    compared = _compared(voices, ear, options)
    best = max(METHODS, key=lambda name: compared.scores[name])  # the simpler of two that are equally good
    measured = Measured(
        model=files.source_revision,
        encoder=ear.encoder.revision,
        method=best,
        scores=compared.scores,
        same_voice=compared.same_voice,
        strangers=_strangers(embeddings),
        voices=len(rows),
        held_out=compared.spoken,
        sentences=options.sentences,
    )
    weights = METHODS[best].fit(embeddings, voices.vectors, compared.settings[best])
    bounds = np.clip([table.min(axis=0), table.max(axis=0)], -LARGEST_IN_VECTOR, LARGEST_IN_VECTOR)
    return Adapter(measured, np.array(rows, np.int32), embeddings, bounds, weights)


@dataclass(frozen=True, eq=False)
class _Voices:
    """The voices that were heard."""

    ids: list[str]
    embeddings: Floats  # (N, 256)
    vectors: Floats  # (N, D)


@dataclass(frozen=True, eq=False)
class _Comparison:
    """What became of the methods."""

    settings: dict[str, tuple[float, ...]]  # the best of each
    scores: dict[str, float]
    same_voice: float
    spoken: int


def _table_embeddings(files: ModelFiles, ear: Ear, rows: list[int], sentences: tuple[str, ...]) -> Floats:
    """Hear the voices of these rows, those that a fit that was cut has heard excepted."""
    known = HeardVoices.load(files.folder.path, f"{files.revision} {ear.encoder.revision} {sentences}")
    new = [row for row in rows if row not in known.embeddings]
    for start in range(0, len(new), AT_ONCE):
        some = new[start : start + AT_ONCE]
        found = heard(ear.speak, [files.voices[row].id for row in some], sentences, ear.encoder)
        known.add(some, found)
        ear.progress("voices of the table", len(rows) - len(new) + start + len(some), len(rows))
    return np.stack([known.embeddings[row] for row in rows])


def _compared(voices: _Voices, ear: Ear, options: FitOptions) -> _Comparison:
    """Compare the methods by what held-out voices are, and what the methods made of them."""
    order = np.random.default_rng(SEED).permutation(len(voices.ids))
    folds = np.empty(len(order), np.int64)
    folds[order] = np.arange(len(order)) % FOLDS
    spoken, sentences = order[: options.held_out], options.other_sentences
    truth = ear.hear("held-out voices", [voices.ids[number] for number in spoken], sentences)
    settings: dict[str, tuple[float, ...]] = {}
    scores: dict[str, float] = {}
    for name, method in METHODS.items():
        settings[name], predicted = _predicted(method, voices, folds)
        vectors: list[AnyVoice] = [tuple(map(float, vector)) for vector in predicted[spoken]]
        scores[name] = _mean_cosine(truth, ear.hear(f"held-out voices by {name}", vectors, sentences))
    return _Comparison(settings, scores, _mean_cosine(truth, voices.embeddings[spoken]), len(spoken))


def _predicted(method: Method, voices: _Voices, folds: Ints) -> tuple[tuple[float, ...], Floats]:
    """Return the setting with the least error, and each voice's vector as it follows from the other folds."""
    tried = {setting: _cross_predicted(method, setting, voices, folds) for setting in method.settings}
    best = min(tried, key=lambda setting: float(np.square(tried[setting] - voices.vectors).mean()))
    return best, tried[best]


def _cross_predicted(method: Method, setting: tuple[float, ...], voices: _Voices, folds: Ints) -> Floats:
    predicted = np.empty_like(voices.vectors)
    for fold in range(FOLDS):
        inside = folds != fold
        weights = method.fit(voices.embeddings[inside], voices.vectors[inside], setting)
        predicted[~inside] = method.predict(weights, voices.embeddings[~inside])
    return np.clip(predicted, voices.vectors.min(axis=0), voices.vectors.max(axis=0))


def _mean_cosine(one: Floats, other: Floats) -> float:
    return float((one * other).sum(axis=1).mean())


def _strangers(embeddings: Floats) -> float:
    """Return the mean similarity of two different voices."""
    count = len(embeddings)
    return float((np.square(embeddings.sum(axis=0)).sum() - count) / (count * (count - 1)))
