"""The three networks as one module, built around given weights."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from worker.engine.emotivoice.acoustic import AcousticModel
from worker.engine.emotivoice.building import without_weights
from worker.engine.emotivoice.config import OFFICIAL, ModelConfig
from worker.engine.emotivoice.style import StyleEncoder
from worker.engine.emotivoice.vocoder import Vocoder


class Networks(nn.Module):
    """Style encoder, acoustic model and vocoder. Its `state_dict` has the names of the converted weights."""

    def __init__(self, config: ModelConfig = OFFICIAL) -> None:
        super().__init__()
        self.style = StyleEncoder(config.style)
        self.acoustic = AcousticModel(config.acoustic)
        self.vocoder = Vocoder(config.vocoder)

    @classmethod
    def of(
        cls, weights: Mapping[str, Tensor], config: ModelConfig = OFFICIAL, *, dtype: torch.dtype | None = None
    ) -> "Networks":
        """Return networks that use these very tensors: nothing is copied, and no random weights are made first.

        Args:
            weights: verified, as `load_model` returns them, all on one device.
            config: their sizes.
            dtype: cast to this; by default as they are.
        """
        with without_weights():
            networks = cls(config)
        networks.load_state_dict(weights, assign=True)
        return networks.to(dtype).eval().requires_grad_(False)
