"""The networks as graphs for export: tensors in, tensors out, every size but a network's own may change.

Each graph takes a batch whose utterances may be padded, and is told which of it is real. It also makes examples of its
input, and knows what the networks say of one utterance alone: that is what an exported graph has to say, too.

Axes that vary are named: `batch`, `phonemes`, `frames` (of the mel), `tokens` (of a text).
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from worker.engine.emotivoice.acoustic import AcousticModel, Condition, Controls, upsample
from worker.engine.emotivoice.layers import length_mask
from worker.engine.emotivoice.model import Networks
from worker.engine.emotivoice.style import StyleEncoder
from worker.engine.emotivoice.vocoder import Vocoder

Axes = tuple[str | int, ...]  # a name where the size varies
Tensors = tuple[Tensor, ...]

MAX_DURATION = 9  # frames of a phoneme in an example
QUIETEST, LOUDEST = -11.5, 2.0  # of the mel in an example: ln(1e-5), and about what speech reaches


class Graph(nn.Module):
    """What is exported as one file. `forward` takes a padded batch; its arguments have the names in `inputs`."""

    name: ClassVar[str]
    inputs: dict[str, Axes]
    outputs: dict[str, Axes]
    longest: dict[str, int]  # of an axis, where there is a limit

    def example(self, length: int, random: torch.Generator) -> Tensors:
        """Return what one utterance of that length brings, without a batch axis."""
        raise NotImplementedError

    def batch(self, utterances: Sequence[Tensors]) -> Tensors:
        """Return the arguments of `forward` for several utterances."""
        raise NotImplementedError

    def alone(self, *utterance: Tensor) -> Tensors:
        """Return what the networks say of one utterance without padding, without a batch axis."""
        raise NotImplementedError


class AcousticPredict(Graph):
    """`AcousticModel.predict`. The columns of `controls` are the fields of `Controls`, in order."""

    name = "acoustic-predict"

    def __init__(self, acoustic: AcousticModel) -> None:
        super().__init__()
        self.acoustic = acoustic
        self.width = acoustic.to_mel.in_features
        self.style_width = (acoustic.embed_projection1.in_features - 2 * self.width) // 2
        self.inputs = {
            "phonemes": ("batch", "phonemes"),
            "lengths": ("batch",),
            "speaker": ("batch", self.width),
            "style": ("batch", self.style_width),
            "content": ("batch", self.style_width),
            "controls": ("batch", len(Controls._fields)),
        }
        self.outputs = {
            "hidden": ("batch", "phonemes", self.width),
            "durations": ("batch", "phonemes"),
            "pitch": ("batch", "phonemes"),
            "energy": ("batch", "phonemes"),
        }
        self.longest = {}

    def forward(  # noqa: PLR0913, PLR0917 -- one argument for each input of the graph
        self, phonemes: Tensor, lengths: Tensor, speaker: Tensor, style: Tensor, content: Tensor, controls: Tensor
    ) -> Tensors:
        """Return hidden, durations, pitch and energy, as Prosody explains them."""
        condition = Condition(speaker, style, content)
        return tuple(self.acoustic.predict(phonemes, lengths, condition, Controls(*controls.unbind(1))))

    def example(self, length: int, random: torch.Generator) -> Tensors:
        speakers = self.acoustic.spk_tokenizer.weight
        return (
            torch.randint(self.acoustic.src_word_emb.num_embeddings, (length,), generator=random),
            speakers[int(torch.randint(len(speakers), (), generator=random))],
            *torch.rand(2, self.style_width, generator=random) * 2 - 1,
            torch.rand(len(Controls._fields), generator=random) * 0.4 + 0.8,  # 0.8 to 1.2 times
        )

    def batch(self, utterances: Sequence[Tensors]) -> Tensors:
        phonemes, *vectors = _padded(utterances)
        return phonemes, _lengths(utterances), *vectors

    def alone(self, *utterance: Tensor) -> Tensors:
        phonemes, speaker, style, content, controls = (part.unsqueeze(0) for part in utterance)
        condition = Condition(speaker, style, content)
        prosody = self.acoustic.predict(phonemes, None, condition, Controls(*controls.unbind(1)))
        return tuple(part[0] for part in prosody)


class AcousticFrames(Graph):
    """`AcousticModel.frames`. The mask says how long the mel is, so that this is a size and not a number."""

    name = "acoustic-frames"

    def __init__(self, acoustic: AcousticModel) -> None:
        super().__init__()
        self.acoustic = acoustic
        self.width = acoustic.to_mel.in_features
        self.inputs = {
            "hidden": ("batch", "phonemes", self.width),
            "durations": ("batch", "phonemes"),
            "lengths": ("batch",),
            "frame_mask": ("batch", "frames"),
        }
        self.outputs = {"mel": ("batch", "frames", acoustic.to_mel.out_features)}
        self.longest = {}

    def forward(self, hidden: Tensor, durations: Tensor, lengths: Tensor, frame_mask: Tensor) -> Tensors:
        """Return the mel; `frame_mask` is bool, true where a frame belongs to its utterance."""
        phoneme_mask = length_mask(lengths, hidden.shape[1])
        x = upsample(hidden, durations, phoneme_mask, frame_mask.shape[1])
        return (self.acoustic.to_mel(self.acoustic.decoder(x, frame_mask.unsqueeze(-1))),)

    def example(self, length: int, random: torch.Generator) -> Tensors:
        durations = torch.randint(MAX_DURATION, (length,), generator=random)
        durations[0] += 1  # no utterance has no frames
        return torch.randn(length, self.width, generator=random), durations

    def batch(self, utterances: Sequence[Tensors]) -> Tensors:
        hidden, durations = _padded(utterances)
        return hidden, durations, _lengths(utterances), _mask(durations.sum(dim=1))

    def alone(self, *utterance: Tensor) -> Tensors:
        hidden, durations = (part.unsqueeze(0) for part in utterance)
        return (self.acoustic.frames(hidden, durations, None, int(durations.sum()))[0],)


class Vocode(Graph):
    """`Vocoder.forward`."""

    name = "vocoder"

    def __init__(self, vocoder: Vocoder) -> None:
        super().__init__()
        self.vocoder = vocoder
        self.mels = vocoder.conv_pre.in_channels
        self.inputs = {"mel": ("batch", "frames", self.mels), "frame_mask": ("batch", "frames")}
        self.outputs = {"samples": ("batch", f"{torch.Size(vocoder.rates).numel()}*frames")}
        self.longest = {}

    def forward(self, mel: Tensor, frame_mask: Tensor) -> Tensors:
        """Return the samples; `frame_mask` as above."""
        return (self.vocoder(mel, frame_mask.unsqueeze(-1)),)

    def example(self, length: int, random: torch.Generator) -> Tensors:
        return (torch.rand(length, self.mels, generator=random) * (LOUDEST - QUIETEST) + QUIETEST,)

    def batch(self, utterances: Sequence[Tensors]) -> Tensors:
        return *_padded(utterances), _mask(_lengths(utterances))

    def alone(self, *utterance: Tensor) -> Tensors:
        (mel,) = utterance
        return (self.vocoder(mel.unsqueeze(0))[0],)


class Embed(Graph):
    """`StyleEncoder.forward`."""

    name = "style"

    def __init__(self, style: StyleEncoder) -> None:
        super().__init__()
        self.style = style
        positions, width = style.embeddings.position_embeddings.weight.shape
        self.inputs = {"tokens": ("batch", "tokens"), "lengths": ("batch",)}
        self.outputs = {
            "vector": ("batch", width)
        }  # not "embedding": so is an operation called, and ONNX wants other names
        self.longest = {"tokens": positions}

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensors:
        """Return the embedding of a prompt or a content."""
        return (self.style(tokens, length_mask(lengths, tokens.shape[1])),)

    def example(self, length: int, random: torch.Generator) -> Tensors:
        words = self.style.embeddings.word_embeddings.num_embeddings
        return (torch.randint(words, (min(length, self.longest["tokens"]),), generator=random),)

    def batch(self, utterances: Sequence[Tensors]) -> Tensors:
        return *_padded(utterances), _lengths(utterances)

    def alone(self, *utterance: Tensor) -> Tensors:
        (tokens,) = utterance
        return (self.style(tokens.unsqueeze(0))[0],)


def graphs_of(networks: Networks) -> tuple[Graph, ...]:
    """Return what is exported of a model, in the order of its use."""
    return (
        Embed(networks.style),
        AcousticPredict(networks.acoustic),
        AcousticFrames(networks.acoustic),
        Vocode(networks.vocoder),
    )


def _padded(utterances: Sequence[Tensors]) -> list[Tensor]:
    return [pad_sequence(list(parts), batch_first=True) for parts in zip(*utterances, strict=True)]


def _lengths(utterances: Sequence[Tensors]) -> Tensor:
    return torch.tensor([len(parts[0]) for parts in utterances])


def _mask(lengths: Tensor) -> Tensor:
    """(B,) -> (B, longest), bool."""
    return length_mask(lengths, int(lengths.max())).squeeze(-1)
