"""The engine on small random networks: what goes in, what comes out, what fails."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from tests.worker.engine.emotivoice.small import SIZES, VOICES, small_engine, small_files
from worker.engine.emotivoice import engine as engine_module
from worker.engine.emotivoice.engine import EmotiVoiceEngine
from worker.engine.emotivoice.frontend.marks import USED
from worker.engine.emotivoice.parts import MAX_PHONEMES
from worker.engine.emotivoice.pipeline import GPU_LIMITS
from worker.engine.errors import (
    DeviceLost,
    EngineError,
    EngineUnavailable,
    InvalidUtterance,
    OutOfMemory,
    UnspeakableText,
)
from worker.engine.options import EngineOptions
from worker.engine.speech import Speech, Utterance

TEXTS = ["你好，世界！", "Hello world.", "今天天气真好，hello 你好世界。", "好"]
LONG = "今天天气真好，我们去公园散步吧。" * 30


def speak(text: str = TEXTS[0], **changes: Any) -> Speech:
    return small_engine().synthesize([replace(Utterance(text, "8051"), **changes)])[0]


def frames(speech: Speech) -> int:
    assert len(speech.waveform.samples) % 256 == 0
    return len(speech.waveform.samples) // 256


def distance(one: Speech, other: Speech) -> float:
    assert len(one.waveform.samples) == len(other.waveform.samples)
    return float(np.abs(one.waveform.samples - other.waveform.samples).max())


def differ(one: Speech, other: Speech) -> bool:
    return len(one.waveform.samples) != len(other.waveform.samples) or distance(one, other) > 1e-4


def test_a_batch_comes_back_in_order_and_sounds_as_each_alone() -> None:
    utterances = [Utterance(text, voice) for text in TEXTS for voice in ("8051", "985")]
    together = small_engine().synthesize(utterances)
    for utterance, speech in zip(utterances, together, strict=True):
        assert distance(speech, small_engine().synthesize([utterance])[0]) < 1e-5


def test_a_batch_in_the_limits_of_a_gpu_sounds_the_same() -> None:
    engine = EmotiVoiceEngine(small_files())
    engine._limits = GPU_LIMITS  # pyright: ignore[reportPrivateUsage] - there is no GPU to ask for them
    utterances = [Utterance(text, "8051") for text in [*TEXTS, LONG]]
    for one, other in zip(engine.synthesize(utterances), small_engine().synthesize(utterances), strict=True):
        assert distance(one, other) < 1e-5


def test_no_utterances_are_no_speech() -> None:
    assert small_engine().synthesize([]) == []


@pytest.mark.parametrize("text", [TEXTS[2], LONG])
def test_the_pieces_of_a_stream_are_the_waveform(text: str) -> None:
    pieces = list(small_engine().stream(Utterance(text, "8051")))
    assert len(pieces) > 1
    assert pieces[0].waveform.seconds == pytest.approx(0.256)
    whole = speak(text)
    streamed = np.concatenate([piece.waveform.samples for piece in pieces])
    np.testing.assert_allclose(streamed, whole.waveform.samples, atol=1e-5)
    words = [word for piece in pieces for word in piece.words]
    assert [word.word for word in words] == [word.word for word in whole.words]
    times = [word.end_seconds for word in whole.words]
    assert [word.end_seconds for word in words] == pytest.approx(times)


def test_speed_scales_every_duration() -> None:
    normal, slow, fast = (speak(speed=speed) for speed in (1.0, 0.5, 2.0))
    assert frames(slow) == pytest.approx(2 * frames(normal), rel=0.1)
    assert frames(fast) == pytest.approx(frames(normal) / 2, rel=0.15)


@pytest.mark.parametrize("control", ["pitch_shift", "pitch_scale", "energy_shift", "energy_scale"])
def test_each_control_changes_the_sound_and_not_the_timing(control: str) -> None:
    assert control in EmotiVoiceEngine.controls
    change: dict[str, Any] = {control: 2.0}
    assert distance(speak(), speak(**change)) > 1e-4


def test_controls_at_rest_change_not_a_bit() -> None:
    resting = speak(pitch_shift=0.0, pitch_scale=1.0, energy_shift=0.0, energy_scale=1.0, emotion_strength=1.0)
    assert distance(speak(), resting) == 0


def test_an_emotion_is_the_prompt_that_the_style_encoder_learned() -> None:
    assert distance(speak(emotion="happy"), speak(emotion="开心")) == 0
    assert differ(speak(emotion="happy"), speak(emotion="neutral"))


def test_no_strength_of_an_emotion_is_neutral() -> None:
    assert distance(speak(emotion="happy", emotion_strength=0.0), speak(emotion="neutral")) < 1e-5
    assert differ(speak(emotion="happy", emotion_strength=2.0), speak(emotion="happy"))


def test_a_voice_by_name_a_blend_and_a_vector() -> None:
    assert distance(speak(voice="maria kasper"), speak()) == 0
    half = speak(voice="8051+985")
    assert distance(speak(voice="8051*0.5 + 985*0.5"), half) == 0
    table = small_files().weights["acoustic.spk_tokenizer.weight"]
    middle = tuple(float(number) for number in (table[0] + table[1]) / 2)
    assert distance(speak(voice=middle), half) < 1e-5
    assert distance(speak(voice="8051*1+985*0.000001"), speak()) < 1e-3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"voice": "nobody"}, "no voice is called 'nobody'"),
        ({"voice": (0.5,) * 3}, "a speaker embedding is 16 numbers from -100 to 100; this one has 3"),
        ({"voice": (float("nan"),) * 16}, "16 numbers from -100 to 100"),
        ({"voice": (1e38,) * 16}, "16 numbers from -100 to 100"),
        ({"emotion": "\ud800"}, "half a character"),
        ({"speed": 0.0}, "speed is 0.25 to 4, not 0.0"),
        ({"pitch_shift": float("nan")}, "pitch_shift is -12 to 12, not nan"),
        ({"emotion_strength": 3.0}, "emotion_strength is 0 to 2, not 3.0"),
    ],
)
def test_what_can_not_be_done_is_said(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidUtterance, match=message):
        speak(**changes)


def test_words_and_phonemes_fill_the_waveform() -> None:
    speech = speak("你好世界, hello 12.5%!")
    assert [word.word for word in speech.words] == ["你好", "世界", "hello", "12.5%"]
    assert speech.phonemes[0].start_seconds == 0
    assert speech.phonemes[-1].end_seconds == pytest.approx(speech.waveform.seconds)
    assert all(one.end_seconds == other.start_seconds for one, other in pairwise(speech.phonemes))
    assert all(word.start_seconds < word.end_seconds for word in speech.words)


def test_a_text_of_any_length_is_spoken_in_parts_without_a_click() -> None:
    speech = speak(LONG)
    assert sum(word.word == "公园" for word in speech.words) == 30
    assert speech.words[-1].end_seconds <= speech.waveform.seconds
    starts = [word.start_seconds for word in speech.words]
    assert starts == sorted(starts)
    times = [round(phoneme.start_seconds * 16_000) for phoneme in speech.phonemes if phoneme.phoneme == "<sos/eos>"]
    assert len(times) > 2 * len(LONG) * 2.5 / MAX_PHONEMES
    samples = speech.waveform.samples
    assert all(abs(samples[start]) < 1e-3 for start in times[::2])


def test_more_than_the_512_positions_of_the_style_encoder() -> None:
    crowded = "你好。" + "…" * 600 + "世界。"  # few phonemes, many tokens
    assert [word.word for word in speak(crowded).words] == ["你好", "世界"]


def test_what_is_left_out_is_told() -> None:
    speech = speak("你好カ世界。" + LONG)
    assert len(speech.warnings) == 1
    assert "カ" in speech.warnings[0]
    assert speak().warnings == ()
    streamed = list(small_engine().stream(Utterance("你好カ世界。" + LONG, "8051")))
    assert [piece.warnings for piece in streamed] == [speech.warnings] + [()] * (len(streamed) - 1)


def test_a_sentence_in_a_foreign_script_does_not_silence_the_others() -> None:
    speech = speak(LONG + "ありがとう。" + LONG)
    assert sum(word.word == "公园" for word in speech.words) == 60
    assert "り" in speech.warnings[0]


@pytest.mark.parametrize("text", ["", "…", "ありがとう。", "[行](/nope/)"])
def test_nothing_to_say_is_refused(text: str) -> None:
    with pytest.raises(UnspeakableText):
        speak(text)


class Scarce:
    """Memory for `most` utterances at once."""

    def __init__(self, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.most = most
        self.sizes: list[int] = []
        self._mels = engine_module.mels
        monkeypatch.setattr(engine_module, "mels", self)

    def __call__(self, networks: Any, inputs: Sequence[Any], limits: Any) -> Any:
        self.sizes.append(len(inputs))
        if len(inputs) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self._mels(networks, inputs, limits)


def test_a_batch_too_large_for_the_memory_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    utterances = [Utterance(text, "8051") for text in TEXTS]
    expected = small_engine().synthesize(utterances)
    engine = EmotiVoiceEngine(small_files())
    engine._limits = GPU_LIMITS  # pyright: ignore[reportPrivateUsage] - all in one batch
    scarce = Scarce(1, monkeypatch)
    for one, other in zip(engine.synthesize(utterances), expected, strict=True):
        assert distance(one, other) < 1e-5
    assert scarce.sizes == [4, 2, 1, 1, 2, 1, 1]


def test_an_utterance_too_large_alone_is_named_and_the_next_one_is_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    scarce = Scarce(0, monkeypatch)
    with pytest.raises(OutOfMemory):
        speak()
    scarce.most = 1
    assert frames(speak()) > 0


def test_an_utterance_that_only_fits_window_by_window_is_spoken_so(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = speak(LONG)
    vocode, tried = engine_module.vocode, list[int]()

    def scarce(vocoder: Any, mels: Any, limits: Any) -> Any:
        tried.append(limits.windows)
        if limits.windows > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return vocode(vocoder, mels, limits)

    monkeypatch.setattr(engine_module, "vocode", scarce)
    engine = EmotiVoiceEngine(small_files())
    engine._limits = GPU_LIMITS  # pyright: ignore[reportPrivateUsage] - there is no GPU to ask for them
    assert distance(engine.synthesize([Utterance(LONG, "8051")])[0], expected) < 1e-5
    assert {1, 32} == set(tried)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["acoustic.to_mel.bias", "acoustic.duration_predictor.linear.bias"])
def test_what_is_no_number_is_never_spoken(where: str, number: float) -> None:
    weights = small_files().weights
    broken = replace(small_files(), weights=weights | {where: torch.full_like(weights[where], number)})
    engine = EmotiVoiceEngine(broken)
    with pytest.raises(EngineError, match=r"infinity, or no number, in torch\.float32"):
        engine.synthesize([Utterance("你好", "8051")])
    with pytest.raises(EngineError, match="infinity, or no number"):
        list(engine.stream(Utterance("你好", "8051")))


@pytest.mark.parametrize("text", ["9" * 400, "一" * 500, "a" * 3000, f"[啊](/{'a1 ' * 900}/)"])
def test_what_can_not_be_split_is_cut_all_the_same(text: str) -> None:
    engine = small_engine()
    parts = engine._script(Utterance(text, "8051")).parts  # pyright: ignore[reportPrivateUsage] - what the model gets
    whole = engine._frontend.phonemes(text)  # pyright: ignore[reportPrivateUsage]
    assert all(len(part.phonemes.tokens) <= MAX_PHONEMES for part in parts)
    said = [token for part in parts for token in part.phonemes.tokens[1:-1]]
    expected = list(whole.tokens[1:-1])
    assert len(parts) > 1
    assert [token for token in said if token not in USED] == [token for token in expected if token not in USED]
    assert speak(text).words


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.AcceleratorError("CUDA error: out of memory"), OutOfMemory),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), OutOfMemory),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"), EngineError),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), DeviceLost),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), DeviceLost),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"), OutOfMemory),
        (MemoryError(), OutOfMemory),
        (RuntimeError("a mistake of ours"), RuntimeError),
    ],
)
def test_what_torch_raises_is_told_apart(
    error: Exception, expected: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(engine_module, "mels", fail)
    with pytest.raises(expected) as raised:
        speak()
    assert type(raised.value) is expected


def test_a_stream_that_is_left_alone_leaves_gradients_as_they_were() -> None:
    stream = small_engine().stream(Utterance(TEXTS[0], "8051"))
    next(stream)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    stream.close()


def test_the_revision_names_everything_that_can_be_heard() -> None:
    engines = [
        small_engine(),
        small_engine(tone_sandhi=True),
        EmotiVoiceEngine(small_files(), dtype=torch.bfloat16),
        EmotiVoiceEngine(replace(small_files(), revision="other")),
    ]
    assert len({engine.revision for engine in engines}) == len(engines)
    assert EmotiVoiceEngine(small_files()).revision == small_engine().revision


def test_tone_sandhi_is_an_option() -> None:
    (plain,), (changed,) = (
        small_engine(tone_sandhi=on).synthesize([Utterance("你好", "8051")]) for on in (False, True)
    )
    assert [phoneme.phoneme for phoneme in plain.phonemes][1:3] == ["n", "i3"]
    assert [phoneme.phoneme for phoneme in changed.phonemes][1:3] == ["n", "i2"]


def test_what_the_engine_says_of_itself() -> None:
    engine = small_engine()
    assert engine.voices == VOICES
    assert (engine.sample_rate, engine.batch_size, engine.blends, engine.free_text_emotion) == (16_000, 1, True, True)
    assert engine.memory() == {}
    assert {"neutral", "happy", "sad", "angry"} < set(engine.emotions)
    engine.warm_up()


def test_half_precision_speaks_all_the_same() -> None:
    engine = EmotiVoiceEngine(small_files(), dtype=torch.bfloat16)
    (speech,) = engine.synthesize([Utterance(TEXTS[0], "8051*0.7+985*0.3", emotion_strength=0.5, pitch_shift=1)])
    assert speech.waveform.samples.dtype == np.float32
    assert np.isfinite(speech.waveform.samples).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (EngineOptions(), "EMOTIVOICE_MODEL_DIR"),
        (EngineOptions(model_dir=small_files().folder.path, device="cpu"), "no model is in"),
        (EngineOptions(model_dir=small_files().folder.path, device="tpu"), "there is no device 'tpu'"),
        (EngineOptions(model_dir=small_files().folder.path, device="meta"), "runs on cpu and cuda"),
    ],
)
def test_an_engine_that_can_not_start_says_why(options: EngineOptions, message: str) -> None:
    with pytest.raises(EngineUnavailable, match=message):
        EmotiVoiceEngine.load(options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device that the test needs to be missing")
def test_a_missing_gpu_is_named() -> None:
    with pytest.raises(EngineUnavailable, match=r"'cuda:1' is not there: torch .* sees no CUDA device"):
        EmotiVoiceEngine.load(EngineOptions(model_dir=small_files().folder.path, device="cuda:1"))


def test_the_small_model_is_whole() -> None:
    assert SIZES.acoustic.tokens == len(small_files().tokens)
