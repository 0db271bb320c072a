"""Writes one text of drafted lines, and keeps its figures. NumPy."""

from __future__ import annotations

import numpy as np

from model.config import SamplingConfig
from model.constraint_config import Constraints
from model.events import LineDrafted
from model.network.published import PublishedWeights
from model.network.snapshot import FloatArray
from model.sampling.stream import CharacterStream
from model.steppers.stepper import Symbols


class LineSampler:
    """Writes one text line by line, with the methods of a `Sampler`."""

    def __init__(
        self,
        weights: PublishedWeights,
        constraints: Constraints,
        *,
        sampling: SamplingConfig,
        seed: int,
        prompt: str,
    ) -> None:
        """Starts cold and reads the prompt.

        Raises:
            ConfigError: the model cannot obey the constraints.
        """
        self.vocabulary = weights.vocabulary
        self.drafted: list[LineDrafted] = []
        """What became of the drafts of each line, in order."""
        self._mask_bits = 0.0
        self._stream = CharacterStream(
            weights.snapshot,
            weights.vocabulary,
            sampling=sampling,
            seed=seed,
            prompt=prompt,
            window=weights.window,
            candidates=0,
        )
        self._stream.constrain(constraints)

    def __len__(self) -> int:
        """Returns the number of texts."""
        return 1

    @property
    def mask_bits(self) -> FloatArray:
        """What forbidden letters have cost so far, [1], bits."""
        return np.array([self._mask_bits], np.float32)

    def write(self, most: int) -> tuple[Symbols, FloatArray]:
        """Writes up to the end of the line, at most ``most`` characters.

        Returns:
            Ids and probabilities, each [N, 1].
        """
        ids: list[int] = []
        probabilities: list[float] = []
        while len(ids) < most:
            written = self._stream.step()
            drafted = self._stream.take_drafted()
            if drafted is not None:
                self.drafted.append(drafted)
            self._mask_bits += written.mask_bits or 0.0
            ids.append(self.vocabulary.id_of(written.character))
            probabilities.append(written.probability)
            if written.character == "\n":
                break
        return np.array(ids, np.intp)[:, None], np.array(probabilities, np.float32)[:, None]

    def close(self) -> None:
        """Ends the child process of a pattern, if there is one."""
        self._stream.close()
