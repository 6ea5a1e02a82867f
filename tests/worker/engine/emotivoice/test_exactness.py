"""Our numbers beside those that the original computes with the same weights."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from audio.waveform import Samples
from worker.engine.emotivoice.acoustic import Condition, Controls, Prosody
from worker.engine.emotivoice.embedding import TextEmbedder
from worker.engine.emotivoice.engine import EmotiVoiceEngine
from worker.engine.emotivoice.layers import length_mask
from worker.engine.emotivoice.loading import load_model
from worker.engine.emotivoice.model import Networks
from worker.engine.emotivoice.pipeline import CPU_LIMITS, Limits, vocode, vocode_in_pieces
from worker.engine.options import EngineOptions
from worker.engine.speech import Utterance


@pytest.fixture(scope="module")
def networks(converted_model: Path) -> Networks:
    return Networks.of(load_model(converted_model).weights)


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@dataclass(frozen=True)
class Case:
    """What the original was given and what it made of it."""

    phonemes: Tensor  # (1, N)
    speaker: Tensor  # (1,)
    prompt: Tensor  # (1, T) BERT tokens
    content: Tensor
    style_embedding: Tensor
    content_embedding: Tensor
    pitch: Tensor
    energy: Tensor
    durations: Tensor  # (1, N)
    mel: Tensor  # (1, T, 80)
    wav: Tensor  # (samples,)


@pytest.fixture(scope="module", params=["en", "zh"])
def case(request: pytest.FixtureRequest, reference: Path) -> Case:
    return load_case(reference, request.param)


def load_case(reference: Path, name: str) -> Case:
    with np.load(reference / f"{name}.npz") as file:
        arrays: dict[str, Any] = {key: torch.as_tensor(np.asarray(file[key])) for key in file.files}
    return Case(
        phonemes=arrays["phoneme_ids"],
        speaker=arrays["speaker_id"].view(1),
        prompt=arrays["prompt_input_ids"],
        content=arrays["content_input_ids"],
        style_embedding=arrays["style_embedding"],
        content_embedding=arrays["content_embedding"],
        pitch=arrays["pitch"],
        energy=arrays["energy"],
        durations=arrays["durations"],
        mel=arrays["mel"],
        wav=arrays["wav"].flatten(),
    )


def at_rest(size: int) -> Controls:
    return Controls(*torch.ones(len(Controls._fields), size))


def predict(networks: Networks, case: Case) -> Prosody:
    speaker = networks.acoustic.spk_tokenizer(case.speaker)
    condition = Condition(speaker, networks.style(case.prompt), networks.style(case.content))
    return networks.acoustic.predict(case.phonemes, None, condition, at_rest(1))


def difference(ours: Tensor | Samples, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((torch.as_tensor(ours) - theirs).abs().max())


def test_the_style_encoder_is_the_original(networks: Networks, case: Case) -> None:
    assert difference(networks.style(case.prompt)[0], case.style_embedding) < 1e-4
    assert difference(networks.style(case.content)[0], case.content_embedding) < 1e-4


def test_every_phoneme_has_the_original_frames_pitch_and_energy(networks: Networks, case: Case) -> None:
    prosody = predict(networks, case)
    assert torch.equal(prosody.durations, case.durations)
    assert difference(prosody.pitch, case.pitch) < 1e-4
    assert difference(prosody.energy, case.energy) < 1e-4


def test_mel_and_waveform_are_the_original_ones(networks: Networks, case: Case) -> None:
    prosody = predict(networks, case)
    mel = networks.acoustic.frames(prosody.hidden, prosody.durations, None, case.mel.shape[1])
    assert difference(mel, case.mel) < 1e-4
    assert difference(networks.vocoder(mel)[0], case.wav) < 1e-4


@pytest.fixture(scope="module")
def both(reference: Path) -> list[Case]:
    return [load_case(reference, name) for name in ("en", "zh")]


@pytest.fixture(scope="module")
def whole(networks: Networks, both: list[Case]) -> list[Tensor]:
    """The samples of each mel, spoken whole."""
    with torch.inference_mode():
        return [networks.vocoder(case.mel)[0] for case in both]


def test_an_utterance_sounds_the_same_in_a_padded_batch(
    networks: Networks, both: list[Case], whole: list[Tensor]
) -> None:
    longest = max(case.phonemes.shape[1] for case in both)
    padded = [torch.nn.functional.pad(case.phonemes[0], (0, longest - case.phonemes.shape[1])) for case in both]
    lengths = torch.tensor([case.phonemes.shape[1] for case in both])
    condition = Condition(
        networks.acoustic.spk_tokenizer(torch.cat([case.speaker for case in both])),
        torch.stack([case.style_embedding for case in both]),
        torch.stack([case.content_embedding for case in both]),
    )
    prosody = networks.acoustic.predict(torch.stack(padded), lengths, condition, at_rest(2))
    totals = prosody.durations.sum(dim=1)
    mels = networks.acoustic.frames(prosody.hidden, prosody.durations, lengths, int(totals.max()))
    samples = networks.vocoder(mels, length_mask(totals, int(totals.max())))
    for number, case in enumerate(both):
        frames = case.mel.shape[1]
        assert torch.equal(prosody.durations[number, : case.phonemes.shape[1]], case.durations[0])
        assert int(totals[number]) == frames
        assert difference(mels[number, :frames], case.mel[0]) < 1e-5
        assert difference(samples[number, : frames * 256], whole[number]) < 1e-5


def test_texts_of_several_lengths_are_embedded_as_each_alone(networks: Networks, reference: Path) -> None:
    texts = ["非常开心", "", "我来到北京，清华大学", "Happy", "我来到北京，清华大学" * 8]
    together = TextEmbedder(reference / "vocab.txt", networks.style)(texts)
    alone = torch.cat([TextEmbedder(reference / "vocab.txt", networks.style)([text]) for text in texts])
    assert difference(together, alone) < 1e-5


def test_a_text_becomes_the_tokens_of_the_original(networks: Networks, reference: Path) -> None:
    embed = TextEmbedder(reference / "vocab.txt", networks.style)
    for entry in json.loads((reference / "index.json").read_text()):
        case = load_case(reference, entry["name"])
        for text, embedding in ((entry["prompt"], case.style_embedding), (entry["content"], case.content_embedding)):
            assert difference(embed([text])[0], embedding) < 1e-4


@pytest.mark.parametrize(
    "limits", [CPU_LIMITS, Limits(frames=512, window=128, windows=3)], ids=["alone", "side by side"]
)
def test_a_mel_in_windows_sounds_like_the_whole(
    networks: Networks, both: list[Case], whole: list[Tensor], limits: Limits
) -> None:
    for samples, expected in zip(vocode(networks.vocoder, [case.mel[0] for case in both], limits), whole, strict=True):
        assert difference(samples, expected) < 1e-5


def test_a_stream_sounds_like_the_whole_and_begins_early(
    networks: Networks, both: list[Case], whole: list[Tensor]
) -> None:
    pieces = list(vocode_in_pieces(networks.vocoder, both[1].mel[0], CPU_LIMITS))
    assert len(pieces[0]) == 16 * 256
    assert difference(np.concatenate(pieces), whole[1]) < 1e-5


# With random weights, whose vocoder multiplies every error; what real weights give has to be listened to.
@pytest.mark.parametrize(
    ("dtype", "mel_error", "least_snr"), [(torch.bfloat16, 0.25, 20.0), (torch.float16, 0.03, 40.0)]
)
def test_half_precision_is_near_with_the_original_durations(
    converted_model: Path, reference: Path, dtype: torch.dtype, mel_error: float, least_snr: float
) -> None:
    networks = Networks.of(load_model(converted_model).weights, dtype=dtype)
    case = load_case(reference, "zh")
    prosody = predict(networks, case)
    mel = networks.acoustic.frames(prosody.hidden, case.durations, None, case.mel.shape[1])
    kept = 20 * 256  # half precision is slow on a CPU: these 20 frames, with the 13 behind them that they depend on
    samples, wav = networks.vocoder(case.mel[:, :33].to(dtype))[0, :kept].float(), case.wav[:kept]
    snr = 10 * float(torch.log10(wav.square().mean() / (samples - wav).square().mean()))
    print(f"{dtype}: mel within {difference(mel.float(), case.mel):.3f}, vocoder {snr:.1f} dB")  # noqa: T201
    assert difference(mel.float(), case.mel) < mel_error
    assert snr > least_snr


def test_text_to_samples_by_the_engine_is_the_original(
    official_model: Path, converted_model: Path, reference: Path
) -> None:
    """Chinese, whose phonemes are the original's own; from the files as downloaded and from the converted ones."""
    entry = next(each for each in json.loads((reference / "index.json").read_text()) if each["name"] == "zh")
    utterance = Utterance(entry["content"], entry["speaker"], emotion=entry["prompt"])
    for folder in (official_model, converted_model):
        engine = EmotiVoiceEngine.load(EngineOptions(model_dir=folder, device="cpu", precision="fp32"))
        (speech,) = engine.synthesize([utterance])
        assert difference(speech.waveform.samples, load_case(reference, "zh").wav) < 1e-4
        assert len(engine.voices) == 2014
