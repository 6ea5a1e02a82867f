"""What can be wrong with a model folder."""

from worker.engine.errors import EngineUnavailable


class ModelFolderError(EngineUnavailable):
    """The folder holds no model that can be used; the sentence says what was looked for and what was found."""


class CheckpointError(EngineUnavailable):
    """A file of weights is damaged, or does not hold this model's weights; the sentence names file and tensors."""
