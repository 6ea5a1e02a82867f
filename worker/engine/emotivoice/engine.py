"""The EmotiVoice engine: utterances to speech, in batches or in a stream."""

import hashlib
import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Self

import torch
from torch import Tensor

from audio.waveform import Samples, Waveform, fade_in, fade_out, silence
from worker.engine.emotivoice.adapter import Adapter, load_adapter
from worker.engine.emotivoice.config import AUDIO
from worker.engine.emotivoice.device import computing, find_device, find_precision, to_device
from worker.engine.emotivoice.embedding import TextEmbedder
from worker.engine.emotivoice.frontend import Frontend
from worker.engine.emotivoice.imitation import Imitator
from worker.engine.emotivoice.loading import ModelFiles, load_model
from worker.engine.emotivoice.model import Networks
from worker.engine.emotivoice.parts import Part, Script, groups, script, speech, timings
from worker.engine.emotivoice.pipeline import CPU_LIMITS, GPU_LIMITS, Input, Limits, mels, vocode, vocode_in_pieces
from worker.engine.emotivoice.prompts import PROMPTS, prompt_of
from worker.engine.emotivoice.speakers import Speakers
from worker.engine.errors import EngineUnavailable, InvalidUtterance, OutOfMemory
from worker.engine.options import EngineOptions
from worker.engine.speech import NEUTRAL, Imitation, ReferenceClip, Speech, Utterance

CODE_VERSION = "1"  # raise it with every change that can be heard
GPU_BATCH = 32  # utterances that a worker hands over at once
WARM_UP_TEXT = "好"
GPU_WARM_UP_TEXTS = ("好", "That is 1,234 words.", "Once more, and longer. " * 4, "今天天气很好。" * 8)

Spoken = tuple[Samples, list[int]]  # samples, and the frames of each phoneme


class EmotiVoiceEngine:
    """Speaks with the weights of a model folder. One engine serves one process."""

    name = "emotivoice"
    sample_rate = AUDIO.sample_rate
    emotions = tuple(PROMPTS)
    free_text_emotion = True
    controls: tuple[str, ...] = ("pitch_shift", "pitch_scale", "energy_shift", "energy_scale")
    blends = True

    def __init__(
        self,
        files: ModelFiles,
        *,
        dtype: torch.dtype | None = None,
        tone_sandhi: bool = False,
        adapter: Adapter | None = None,
    ) -> None:
        """Build the engine around loaded files.

        Args:
            dtype: what to compute in; None is what the weights are.
            tone_sandhi: change Mandarin tones as speakers do.
            adapter: what clips are imitated with.
        """
        self._networks = Networks.of(files.weights, files.config, dtype=dtype)
        self._device = self._networks.acoustic.to_mel.weight.device
        on_gpu = self._device.type == "cuda"
        self._limits = GPU_LIMITS if on_gpu else CPU_LIMITS
        self._embed = TextEmbedder(files.vocabulary, self._networks.style)
        self._frontend = Frontend(files.tokens, tone_sandhi=tone_sandhi)
        self._ids = {token: number for number, token in enumerate(files.tokens)}
        self._speakers = Speakers(files.voices, self._networks.acoustic.spk_tokenizer.weight)
        self._imitator = Imitator(self.synthesize, files.voices, adapter)
        self.batch_size = GPU_BATCH if on_gpu else 1
        self.voices = files.voices
        self.missing: dict[str, str] = {}
        self.revision = _revision(files.revision, dtype or files.dtype, tone_sandhi=tone_sandhi)
        self.imitation_revision = self._imitator.revision(self.revision)

    @classmethod
    def load(cls, options: EngineOptions) -> Self:
        """Load the model that the options name.

        Raises:
            EngineUnavailable: no folder is named, a file of it is wrong, or there is no such device or precision.
        """
        if options.model_dir is None:
            raise EngineUnavailable("the emotivoice engine needs a model folder: set EMOTIVOICE_MODEL_DIR")
        device = find_device(options.device)
        files = load_model(options.model_dir, device=str(device))
        precision = find_precision(options.precision, device, files.dtype)
        adapter = load_adapter(files.folder.path, files.source_revision)
        return cls(files, dtype=precision, tone_sandhi=options.tone_sandhi, adapter=adapter)

    def warm_up(self) -> None:
        """Touch what the first utterance would wait for: the weights; on a GPU also the kernels and the memory pool."""
        for _ in self.stream(Utterance(WARM_UP_TEXT, self.voices[0].id)):
            pass
        if self._device.type == "cuda":
            utterances = [Utterance(text, self.voices[0].id) for text in GPU_WARM_UP_TEXTS]
            for utterance in utterances:
                self.synthesize([utterance])
            self.synthesize(utterances * (self.batch_size // len(utterances)))

    def memory(self) -> dict[str, int]:
        """Bytes of the GPU's memory: allocated, reserved, free and total; nothing on a CPU."""
        if self._device.type != "cuda":
            return {}
        free, total = torch.cuda.mem_get_info(self._device)
        allocated, reserved = torch.cuda.memory_allocated(self._device), torch.cuda.memory_reserved(self._device)
        return {"allocated": allocated, "reserved": reserved, "free": free, "total": total}

    def synthesize(self, utterances: Sequence[Utterance]) -> list[Speech]:
        """Speak each utterance, however long; the result is in the same order.

        Raises:
            UnspeakableText: nothing in an utterance sounds, or an inline phoneme is unknown.
            InvalidUtterance: a voice, or a number out of its range.
            OutOfMemory: an utterance does not fit, even alone.
            DeviceLost: the GPU needs a new process.
        """
        scripts = [self._script(utterance) for utterance in utterances]
        parts = [(each, part) for each in scripts for part in each.parts]
        frames = [each.estimated_frames(part) for each, part in parts]
        spoken: dict[int, Spoken] = {}
        for group in groups(frames, self._limits.frames):
            spoken |= zip(group, self._speak([parts[number] for number in group], self._limits), strict=True)
        in_order = (spoken[number] for number in range(len(parts)))
        return [speech(each, [next(in_order) for _ in each.parts]) for each in scripts]

    def stream(self, utterance: Utterance) -> Generator[Speech]:
        """Speak one utterance in pieces, the first of them 0.26 s long; together they are what `synthesize` returns.

        The first piece of each part brings the times of the part's words and phonemes, the very first the warnings.

        Raises:
            What `synthesize` raises, before the first piece where the utterance is to blame.
        """
        whole = self._script(utterance)
        warnings, start = whole.warnings, 0.0
        for number, part in enumerate(whole.parts):
            for piece in self._stream_part(whole, part, start):
                yield replace(piece, warnings=warnings)
                warnings = ()
                start += piece.waveform.seconds
            if number + 1 < len(whole.parts) and part.pause_seconds:
                yield Speech(silence(part.pause_seconds, AUDIO.sample_rate))
                start += part.pause_seconds

    def imitate(self, clip: ReferenceClip) -> Imitation:
        """Return how to speak like the clip: by the voice adapter, or with the nearest voice and a warning.

        It speaks meanwhile: four sentences with an adapter; without one 48, for the first clip in a process.

        Raises:
            What `synthesize` raises.
        """
        return self._imitator.imitate(clip)

    def _script(self, utterance: Utterance) -> Script:
        _require_in_range(utterance)
        self._speakers.require(utterance.voice)
        found = script(utterance, self._frontend, self._embed)
        if isinstance(utterance.voice, Imitation):
            return replace(found, warnings=(*utterance.voice.warnings, *found.warnings))
        return found

    def _stream_part(self, whole: Script, part: Part, start_seconds: float) -> Iterator[Speech]:
        with computing():
            (mel,) = mels(self._networks, self._inputs([(whole, part)]), self._limits)
        words, phonemes = timings(part, mel.durations, start_seconds)
        pieces = vocode_in_pieces(self._networks.vocoder, mel.frames, self._limits)
        rest = len(mel.frames) * AUDIO.hop
        first = True
        while rest:
            with computing():  # not around a yield: the caller computes what it likes between two pieces
                waveform = Waveform(next(pieces), AUDIO.sample_rate)
            rest -= len(waveform.samples)
            if len(whole.parts) > 1:  # as `join` does
                waveform = fade_in(waveform) if first else waveform
                waveform = waveform if rest else fade_out(waveform)
            yield Speech(waveform, words, phonemes)
            words, phonemes, first = (), (), False

    def _speak(self, parts: Sequence[tuple[Script, Part]], limits: Limits) -> list[Spoken]:
        """Speak a group in one batch, or in halves where that is too much for the memory."""
        try:
            with computing():
                spoken = mels(self._networks, self._inputs(parts), limits)
                samples = vocode(self._networks.vocoder, [mel.frames for mel in spoken], limits)
            return list(zip(samples, (mel.durations for mel in spoken), strict=True))
        except OutOfMemory:
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
            if len(parts) == limits.windows == 1:
                raise
        if len(parts) == 1:
            return self._speak(parts, replace(limits, windows=1))
        middle = len(parts) // 2
        return self._speak(parts[:middle], limits) + self._speak(parts[middle:], limits)

    def _inputs(self, parts: Sequence[tuple[Script, Part]]) -> list[Input]:
        utterances = [whole.utterance for whole, _ in parts]
        prompts = [prompt_of(utterance.emotion) for utterance in utterances]
        contents = [part.phonemes.content for _, part in parts]
        embedded = self._embed([*prompts, *contents])
        styles = self._strengthened(utterances, embedded[: len(parts)])
        return [
            Input(
                phonemes=tuple(self._ids[token] for token in part.phonemes.tokens),
                speaker=self._speakers.vector(whole.utterance.voice),
                style=style,
                content=content,
                speed=whole.utterance.speed,
                pitch_factor=2.0 ** (whole.utterance.pitch_shift / 12),
                pitch_scale=whole.utterance.pitch_scale,
                energy_factor=10.0 ** (whole.utterance.energy_shift / 20),
                energy_scale=whole.utterance.energy_scale,
            )
            for (whole, part), style, content in zip(parts, styles, embedded[len(parts) :], strict=True)
        ]

    def _strengthened(self, utterances: Sequence[Utterance], styles: Tensor) -> Tensor:
        """Move each style from the neutral one, 0 times to 2 times its distance; at once it stays as it is."""
        if all(utterance.emotion_strength == 1.0 for utterance in utterances):
            return styles
        neutral = self._embed([prompt_of(NEUTRAL)])
        strengths = to_device([[utterance.emotion_strength] for utterance in utterances], styles.device)
        moved = styles + (strengths - 1.0).to(styles.dtype) * (styles - neutral)
        return moved.clamp(-1.0, 1.0)  # the range of the encoder's tanh


_RANGES = {  # those of the API
    "emotion_strength": (0.0, 2.0),
    "speed": (0.25, 4.0),
    "pitch_shift": (-12.0, 12.0),
    "pitch_scale": (0.0, 2.0),
    "energy_shift": (-12.0, 12.0),
    "energy_scale": (0.0, 2.0),
}


def _require_in_range(utterance: Utterance) -> None:
    for name, (least, most) in _RANGES.items():
        value: float = getattr(utterance, name)
        if not least <= value <= most:
            raise InvalidUtterance(f"{name} is {least:g} to {most:g}, not {value!r}")
    if not utterance.emotion.isascii() and re.search("[\ud800-\udfff]", utterance.emotion):
        raise InvalidUtterance("the emotion holds half a character (a lone surrogate)")


def _revision(model: str, dtype: torch.dtype, *, tone_sandhi: bool) -> str:
    parts = (CODE_VERSION, model, str(dtype), str(tone_sandhi))
    return "emotivoice-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
