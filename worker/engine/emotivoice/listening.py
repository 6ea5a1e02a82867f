"""What the speaker encoder hears of the model's voices."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from audio.waveform import trim_silence
from voices.encoder import Floats, NoSpeech, SpeakerEncoder
from worker.engine.emotivoice.device import computing
from worker.engine.emotivoice.speakers import AnyVoice
from worker.engine.errors import EngineError
from worker.engine.speech import Speech, Utterance

Speak = Callable[[Sequence[Utterance]], list[Speech]]

# Of about four seconds each, and without pauses, which the encoder was not trained with.
SENTENCES = (
    "The old man walked slowly along the river and looked at the boats.",
    "我们明天早上一起去山上的公园看日出。",
    "Please put the blue book back on the shelf beside the window.",
    "这家商店里的水果又新鲜又便宜。",
)
OTHER_SENTENCES = ("A cup of hot tea is the best thing on a cold morning.", "孩子们在操场上高兴地放着风筝。")


def heard(speak: Speak, voices: Sequence[AnyVoice], sentences: Sequence[str], encoder: SpeakerEncoder) -> Floats:
    """Have each voice speak the sentences; return the means of their embeddings, (voices, 256), of unit length.

    Raises:
        EngineError: a voice makes no sound, or can't be spoken with.
    """
    speeches = speak([Utterance(sentence, voice) for voice in voices for sentence in sentences])
    try:
        embeddings = [encoder.embed(trim_silence(speech.waveform)) for speech in speeches]
    except NoSpeech as error:
        raise EngineError("a voice of the model makes no sound, so it can't be compared with others") from error
    means = np.reshape(embeddings, (len(voices), len(sentences), -1)).mean(axis=1)
    return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class TorchEncoder(SpeakerEncoder):
    """The same encoder, whose network runs in torch: of use to who hears thousands of voices."""

    network: torch.nn.LSTM | None = None

    @classmethod
    def of(cls, encoder: SpeakerEncoder, device: torch.device) -> "TorchEncoder":
        """Return the encoder on a device."""
        width, hidden = encoder.layers[0].inputs.shape[1], encoder.layers[0].hidden.shape[1]
        network = torch.nn.LSTM(width, hidden, len(encoder.layers), batch_first=True)
        for number, layer in enumerate(encoder.layers):
            state = {"weight_ih": layer.inputs, "weight_hh": layer.hidden, "bias_ih": layer.bias}
            for name, array in state.items():
                getattr(network, f"{name}_l{number}").data = torch.tensor(array)
            getattr(network, f"bias_hh_l{number}").data.zero_()
        network = network.to(device).eval().requires_grad_(False)
        return cls(encoder.layers, encoder.projection, encoder.bias, encoder.revision, network)

    def _last_state(self, mel: Floats) -> Floats:
        network = cast(torch.nn.LSTM, self.network)
        device = next(network.parameters()).device
        with computing():
            output, _ = network(torch.from_numpy(mel).to(device))  # pyright: ignore[reportUnknownMemberType]
            return output[:, -1].cpu().numpy()
