"""The voice adapter on a small model with random weights: what is written, read and refused; not how well it does."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from audio.waveform import Waveform
from tests.worker.engine.emotivoice.many import IDS, many_voices, write_many_voices
from voices.encoder import SIZE, Floats, SpeakerEncoder, load_encoder, unit
from worker.engine.emotivoice import adapter_methods
from worker.engine.emotivoice.adapter import Adapter, load_adapter
from worker.engine.emotivoice.adapter_fitting import Ear, FitOptions, fit_adapter, fitted
from worker.engine.emotivoice.adapter_methods import METHODS
from worker.engine.emotivoice.conversion import convert
from worker.engine.emotivoice.engine import EmotiVoiceEngine
from worker.engine.emotivoice.errors import ModelFolderError
from worker.engine.emotivoice.folder import ADAPTER
from worker.engine.emotivoice.heard_voices import FILE as HEARD
from worker.engine.emotivoice.listening import Speak, TorchEncoder, heard
from worker.engine.emotivoice.loading import load_model
from worker.engine.emotivoice.manifest import read_manifest
from worker.engine.emotivoice.report import check_model
from worker.engine.options import EngineOptions
from worker.engine.speech import Imitates, Imitation, ReferenceClip, Speech, Utterance

OPTIONS = FitOptions(voices=12, held_out=2, sentences=("好",), other_sentences=("你好",))
WIDTH = 16


def quiet(what: str, done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module", autouse=True)
def short_training() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(adapter_methods, "STEPS", 10)
        yield


@pytest.fixture(scope="module")
def model(short_training: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A converted model with an adapter."""
    folder = write_many_voices(tmp_path_factory.mktemp("many") / "model")
    fit_adapter(folder, OPTIONS, device="cpu", progress=quiet)
    return folder


def adapter_of(folder: Path) -> Adapter:
    adapter = load_adapter(folder, load_model(folder).source_revision)
    assert adapter is not None
    return adapter


def clip(number: int = 0) -> ReferenceClip:
    """A clip of nobody: only its embedding is looked at."""
    embedding = unit(np.abs(np.random.default_rng(number).standard_normal(SIZE)).astype(np.float32))
    return ReferenceClip(Waveform(np.zeros(16_000, np.float32), 16_000), tuple(map(float, embedding)))


def test_an_adapter_says_what_was_measured_and_lies_in_the_manifest(model: Path) -> None:
    measured = adapter_of(model).measured

    assert (measured.voices, measured.held_out, measured.sentences) == (12, 2, ("好",))
    assert measured.encoder == load_encoder().revision
    assert measured.scores.keys() == METHODS.keys()
    assert measured.similarity == max(measured.scores.values())
    assert all(-1 <= score <= 1.001 for score in (*measured.scores.values(), measured.same_voice, measured.strangers))
    read_manifest(model).verify(model, weights=True)
    assert ADAPTER in read_manifest(model).files
    assert not (model / HEARD).exists()


def test_a_vector_stays_within_the_speaker_table(model: Path) -> None:
    table = load_model(model).weights["acoustic.spk_tokenizer.weight"].numpy()

    for number in range(5):
        vector = np.array(adapter_of(model).vector(np.array(clip(number).embedding, np.float32)))

        assert vector.shape == (WIDTH,)
        assert (vector >= table.min(axis=0)).all()
        assert (vector <= table.max(axis=0)).all()


def test_the_same_model_gives_the_same_adapter_and_one_that_is_there_is_replaced_only_on_demand(model: Path) -> None:
    first = (model / ADAPTER).read_bytes()

    with pytest.raises(ModelFolderError, match="there already; --force replaces it"):
        fit_adapter(model, OPTIONS, device="cpu", progress=quiet)
    fit_adapter(model, OPTIONS, device="cpu", replace=True, progress=quiet)

    assert (model / ADAPTER).read_bytes() == first
    read_manifest(model).verify(model, weights=True)


def test_a_fit_that_was_cut_does_not_hear_a_voice_twice(tmp_path: Path) -> None:
    folder = write_many_voices(tmp_path / "model")

    def cut(what: str, done: int, total: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_adapter(folder, OPTIONS, device="cpu", progress=cut)
    told: dict[str, list[int]] = {}
    fit_adapter(folder, OPTIONS, device="cpu", progress=lambda what, done, _: told.setdefault(what, []).append(done))

    assert told["voices of the table"] == [12]


def test_a_model_with_few_voices_has_no_adapter(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="an adapter needs 10 voices at least; here are 4"):
        fit_adapter(write_many_voices(tmp_path / "model"), replace(OPTIONS, voices=4), device="cpu", progress=quiet)


def test_an_adapter_of_another_model_keeps_the_engine_from_starting(model: Path, tmp_path: Path) -> None:
    other = write_many_voices(tmp_path / "other", seed=4)
    (other / ADAPTER).write_bytes((model / ADAPTER).read_bytes())

    with pytest.raises(
        ModelFolderError, match=r"was made for another model, of revision .*; this one is .* Delete it, or"
    ):
        EmotiVoiceEngine.load(EngineOptions(other, device="cpu"))


def test_an_adapter_made_with_another_encoder_is_refused(model: Path, tmp_path: Path) -> None:
    adapter = adapter_of(model)
    replace(adapter, measured=replace(adapter.measured, encoder="another")).save(tmp_path)

    with pytest.raises(ModelFolderError, match="another speaker encoder, another; here is resemblyzer-"):
        load_adapter(tmp_path, adapter.measured.model)


@pytest.mark.parametrize("content", [b"", b"no tensors", None])
def test_a_damaged_adapter_is_refused(model: Path, tmp_path: Path, content: bytes | None) -> None:
    whole = (model / ADAPTER).read_bytes()
    (tmp_path / ADAPTER).write_bytes(whole[: len(whole) // 2] if content is None else content)

    with pytest.raises(
        ModelFolderError, match=r"speaker_adapter\.safetensors is damaged .*; delete it, or fit it again"
    ):
        load_adapter(tmp_path, "any")


def test_a_conversion_takes_the_adapter_along(model: Path, tmp_path: Path) -> None:
    convert(model, tmp_path / "half", dtype="fp16")

    assert adapter_of(tmp_path / "half").revision == adapter_of(model).revision
    read_manifest(tmp_path / "half").verify(tmp_path / "half", weights=True)


def test_the_adapter_changes_the_revision_of_imitations_only(model: Path, tmp_path: Path) -> None:
    engine = EmotiVoiceEngine.load(EngineOptions(model, device="cpu"))
    without = EmotiVoiceEngine.load(EngineOptions(write_many_voices(tmp_path / "model"), device="cpu"))

    assert isinstance(engine, Imitates)
    assert engine.revision == without.revision
    assert len({engine.revision, engine.imitation_revision, without.imitation_revision}) == 3


def test_the_better_of_adapter_and_nearest_voice_speaks(model: Path) -> None:
    engine = EmotiVoiceEngine.load(EngineOptions(model, device="cpu"))
    adapter = adapter_of(model)

    for number in range(3):
        reference = clip(number)
        embedding = np.array(reference.embedding, np.float32)
        row, nearest = adapter.nearest(embedding)
        found = engine.imitate(reference)

        assert found.voice == IDS[row]
        assert found.similarity is not None
        assert found.similarity >= nearest - 1e-6
        assert bool(found.numbers) != bool(found.warnings)
        (spoken,) = heard(engine.synthesize, [found.numbers or found.voice], ("好",), load_encoder())
        assert found.similarity == pytest.approx(float(spoken @ embedding), abs=1e-4)


def test_without_an_adapter_the_nearest_voice_of_a_sample_speaks_and_says_so() -> None:
    engine = EmotiVoiceEngine(many_voices())
    calls: list[int] = []
    speak = engine.synthesize

    def counted(utterances: Sequence[Utterance]) -> list[Speech]:
        calls.append(len(utterances))
        return speak(utterances)

    engine._imitator._speak = counted  # pyright: ignore[reportPrivateUsage]
    found = engine.imitate(clip())

    assert found.voice in IDS
    assert found.numbers == ()
    assert found.warnings == (
        f"Voice {found.voice} of the model speaks, the nearest to the clip of the 24 of its 24 voices that were heard: "
        "the model has no voice adapter, so it can't do better (emotivoice voices fit-adapter).",
    )
    assert engine.imitate(clip()) == found
    assert calls == [48]  # the second clip costs nothing
    (speech,) = speak([Utterance("好", found)])
    assert speech.warnings == found.warnings
    assert np.array_equal(speech.waveform.samples, speak([Utterance("好", found.voice)])[0].waveform.samples)


def test_an_imitation_with_numbers_speaks_with_them() -> None:
    engine = EmotiVoiceEngine(many_voices())
    numbers = (0.5,) * WIDTH

    imitated, plain = engine.synthesize([Utterance("好", Imitation("100", numbers)), Utterance("好", numbers)])

    assert np.array_equal(imitated.waveform.samples, plain.waveform.samples)
    assert imitated.warnings == plain.warnings == ()


def test_the_encoder_in_torch_hears_what_the_encoder_hears() -> None:
    encoder = load_encoder()
    noise = Waveform(np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1, 16_000)

    assert np.abs(TorchEncoder.of(encoder, torch.device("cpu")).embed(noise) - encoder.embed(noise)).max() < 1e-5


class _Telling(SpeakerEncoder):
    """Hears the speaker vector, which `_told` has written into the samples, through a fixed linear map."""

    def embed(self, recording: Waveform) -> Floats:
        mixing = np.random.default_rng(7).standard_normal((WIDTH, SIZE)).astype(np.float32)
        return unit(np.append(recording.samples[:WIDTH] @ mixing, np.float32(30)))[:SIZE]


def _told(files_table: Floats) -> Speak:
    def speak(utterances: Sequence[Utterance]) -> list[Speech]:
        vectors = [files_table[IDS.index(u.voice)] if isinstance(u.voice, str) else u.voice for u in utterances]
        samples = [np.tile(np.array(vector, np.float32), 100) for vector in vectors]
        return [Speech(Waveform(each, 16_000)) for each in samples]

    return speak


def test_where_embeddings_follow_from_vectors_the_way_back_is_found() -> None:
    """Not a model: voices whose embeddings are linear in their vectors, as no nearest voice can show."""
    files = many_voices()
    table = files.weights["acoustic.spk_tokenizer.weight"].numpy()
    plain = load_encoder()
    encoder = _Telling(plain.layers, plain.projection, plain.bias, plain.revision)

    measured = fitted(files, Ear(_told(table), encoder, quiet), replace(OPTIONS, voices=None, held_out=24)).measured

    assert measured.method == "ridge"
    assert measured.similarity > 0.9 > measured.baseline + 0.2
    assert measured.same_voice == pytest.approx(1, abs=1e-5)


def test_a_check_of_the_model_looks_at_its_adapter(model: Path, tmp_path: Path) -> None:
    assert check_model(model).adapter == adapter_of(model).measured

    other = write_many_voices(tmp_path / "other", seed=4)
    (other / ADAPTER).write_bytes((model / ADAPTER).read_bytes())
    with pytest.raises(ModelFolderError, match="was made for another model"):
        check_model(other)
