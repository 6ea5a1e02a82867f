"""The vocoder: mel frames to samples. HiFi-GAN V1 (J. Kong, J. Kim, J. Bae, 2020), weight norm folded into the weights.

A sample depends on 13 mel frames to each side and no more. So a long mel is spoken in windows that overlap by that
much: the samples are those of the whole, the memory is that of one window, and on a CPU it is faster too, since the
whole's activations fit no cache (docs/performance.md has the measurements).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from worker.engine.emotivoice.config import VocoderConfig

CONTEXT_FRAMES = 13  # the reach of a mel frame, measured: 12.7 frames
SLOPE = 0.1
LAST_SLOPE = 0.01  # the original leaves the last one at the library's default; the weights were trained so


class ResBlock(nn.Module):
    """Three pairs of convolutions, the first of each dilated, each pair added to its input."""

    def __init__(self, width: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            nn.Conv1d(width, width, kernel, dilation=d, padding=d * (kernel // 2)) for d in dilations
        )
        self.convs2 = nn.ModuleList(nn.Conv1d(width, width, kernel, padding=kernel // 2) for _ in dilations)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        for first, second in zip(self.convs1, self.convs2, strict=True):
            y = first(_active(x, mask))
            x = second(_active_(y, mask)).add_(x)
        return x


class Vocoder(nn.Module):
    """Log-mel to a waveform, 256 samples a frame."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.rates = config.upsample_rates
        self.kernels = len(config.resblock_kernels)
        widths = [config.width >> stage for stage in range(len(self.rates) + 1)]
        self.conv_pre = nn.Conv1d(config.mels, config.width, 7, padding=3)
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(widths[i], widths[i + 1], kernel, rate, padding=(kernel - rate) // 2)
            for i, (rate, kernel) in enumerate(zip(self.rates, config.upsample_kernels, strict=True))
        )
        self.resblocks = nn.ModuleList(
            ResBlock(width, kernel, config.resblock_dilations)
            for width in widths[1:]
            for kernel in config.resblock_kernels
        )
        self.conv_post = nn.Conv1d(widths[-1], 1, 7, padding=3)

    def forward(self, mel: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T, mels) -> (B, T * 256) in [-1, 1]. `mask` is (B, T, 1), zero at frames that are padding."""
        live = None if mask is None else mask.transpose(1, 2).to(mel.dtype)
        x = self.conv_pre(mel.transpose(1, 2) if live is None else mel.transpose(1, 2) * live)
        for stage, up in enumerate(self.ups):
            x = up(_active_(x, live))
            live = None if live is None else live.repeat_interleave(self.rates[stage], dim=-1)
            blocks = self.resblocks[stage * self.kernels : (stage + 1) * self.kernels]
            total = blocks[0](x, live)
            for block in blocks[1:]:
                total += block(x, live)
            x = total.div_(self.kernels)
        x = self.conv_post(_active_(x, live, LAST_SLOPE))
        return torch.tanh(x).squeeze(1)


def _active(x: Tensor, mask: Tensor | None) -> Tensor:
    """Leaky ReLU, and zero where the frames are padding: what the next convolution may read."""
    return _active_(x.clone(), mask) if mask is not None else functional.leaky_relu(x, SLOPE)


def _active_(x: Tensor, mask: Tensor | None, slope: float = SLOPE) -> Tensor:
    """The same in place, for what nobody else reads."""
    x = functional.leaky_relu_(x, slope)
    return x if mask is None else x.mul_(mask)


@dataclass(frozen=True)
class Window:
    """A stretch of mel that the vocoder gets at once, and which of its frames are kept."""

    start: int
    end: int
    keep_start: int
    keep_end: int

    def widened(self, kept: int, frames: int) -> "Window":
        """Return it with more context: as long as the longest that keeps `kept` frames, if the mel has so many."""
        start = max(0, min(self.start, frames - kept - 2 * CONTEXT_FRAMES))
        return replace(self, start=start, end=min(frames, start + kept + 2 * CONTEXT_FRAMES))


def windows(frames: int, sizes: Iterator[int]) -> Iterator[Window]:
    """Cut a mel into windows that keep `sizes` frames each, with the context that makes their samples exact."""
    start = 0
    while start < frames:
        end = min(start + next(sizes), frames)
        yield Window(max(0, start - CONTEXT_FRAMES), min(frames, end + CONTEXT_FRAMES), start, end)
        start = end
