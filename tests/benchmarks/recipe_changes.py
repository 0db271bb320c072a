"""Measures changes to a recipe in plain PyTorch, at equal steps, for docs/recipes.md.

    python tests/benchmarks/recipe_changes.py TEXT [--change C ...] [--seed N] [--steps N]

Trains the LSTM of a preset on one thread, with the changes named, and prints the loss of the
held-out part, the last tenth: 64 streams, state carried, averaged weights. A run of 1,956 steps of
`balanced` takes two to seven minutes. The changes can be combined:

- coupled: the input gate is 1 minus the forget gate;
- normalised: what the hidden state adds to a gate has a root mean square of 1 over its units, times
  a trained gain of each unit (Zhang & Sennrich 2019);
- growing: sequences of 16, 32 and 64 characters, longer from a quarter and from half of the
  training on, at equal characters;
- short: sequences of 32, at equal characters;
- heads: two more heads predict the two characters after the next one. Their loss counts half in the
  beginning, and nothing from half of the training on;
- ngram: the head adds to the logarithms of a 5-gram's probabilities (Witten-Bell smoothing), times
  a trained factor. In training the counts are without the character itself.

Not a test: it passes no judgement.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from corpus import CorpusOptions, load_corpus, resolve_source, split_ids
from model.network.torch_layer import torch_layer
from model.presets import PRESETS, Preset
from model.training.optimiser import BETA_1, BETA_2

CHANGES: Final = ("coupled", "normalised", "growing", "short", "heads", "ngram")
SEQUENCE: Final = 64
SCORED_STREAMS: Final = 64
SCORED_STEPS: Final = 256
FURTHER_HEADS: Final = 2
ORDER: Final = 5

Ids = npt.NDArray[np.int64]
State = tuple[Tensor, Tensor]


def log_probabilities(counted: Ids, scored: Ids | None, symbols: int) -> Tensor:
    """Returns logarithms of an n-gram's probabilities, float32 [N, V], at each place of a text.

    Args:
        counted: the text of the counts.
        scored: the text; None for the counted one, each character of which is left out of the
            counts at its own place.
        symbols: V.
    """
    text = counted if scored is None else scored
    places = np.arange(len(text))
    result = np.full((len(text), symbols), 1 / symbols, np.float32)
    for order in range(ORDER + 1):
        contexts, rows = np.unique(_contexts(counted, order, symbols), return_inverse=True)
        counts = np.zeros((len(contexts), symbols), np.float32)
        np.add.at(counts, (rows, counted), 1)
        if scored is None:
            found = counts[rows]
            found[places, text] -= 1
        else:
            wanted = _contexts(text, order, symbols)
            rows = np.minimum(np.searchsorted(contexts, wanted), len(contexts) - 1)
            found = counts[rows] * (contexts[rows] == wanted)[:, None]
        total, different = found.sum(1, keepdims=True), (found > 0).sum(1, keepdims=True)
        weight = total / np.maximum(total + different, 1)
        result = weight * found / np.maximum(total, 1) + (1 - weight) * result
    return torch.from_numpy(np.log(result))


def _contexts(ids: Ids, order: int, symbols: int) -> Ids:
    """Returns a number for the characters before each place; -1 at the beginning of the text."""
    numbers = np.zeros(len(ids), np.int64)
    for back in range(1, order + 1):
        numbers[back:] += (ids[:-back] + 1) * (symbols + 1) ** (back - 1)
    numbers[:order] = -1
    return numbers


class Network(nn.Module):
    """The LSTM of a preset, with some changes."""

    def __init__(self, preset: Preset, symbols: int, changes: frozenset[str]) -> None:
        super().__init__()
        hidden, embedding = preset.model.hidden, preset.model.embedding
        self.preset, self.changes, self.hidden = preset, changes, hidden
        self.embedding = nn.Embedding(symbols, embedding)
        self.lstm = nn.LSTM(embedding, hidden)
        self.head = nn.Linear(hidden, symbols)
        self.heads = nn.ModuleList(nn.Linear(hidden, symbols) for _ in range(FURTHER_HEADS))
        self.gain = nn.Parameter(torch.ones(4 * hidden))
        self.factor = nn.Parameter(torch.ones(1))
        if "ngram" in changes:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    def forward(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """Returns outputs [T, B, H], after dropout in training, and the state [B, H] twice."""
        training = self.preset.training
        inputs = self.embedding(ids)
        inputs = inputs * self._mask(inputs[:1], training.embedding_dropout)
        inner, whole, *biases = self.lstm.parameters()
        recurrent = whole * self._mask(whole, training.weight_dropout)
        if self.changes & {"coupled", "normalised"}:
            added = inputs @ inner.t() + sum(biases)
            outputs, state = self._changed_layer(added, recurrent.t(), state)
        else:
            weights = inner, recurrent, biases[0], biases[1]
            outputs, state = torch_layer(inputs, weights, state, None)
        return outputs * self._mask(outputs[:1], self.preset.model.dropout), state

    def _mask(self, like: Tensor, rate: float) -> Tensor:
        """Returns dropout factors; a single 1 outside of training, or if nothing is dropped."""
        if not self.training or rate == 0:
            return torch.ones(())
        return (torch.rand_like(like) > rate).float() / (1 - rate)

    def _changed_layer(
        self, added: Tensor, recurrent: Tensor, state: State
    ) -> tuple[Tensor, State]:
        hidden, cell = state
        outputs = []
        for before in added:
            sums = hidden @ recurrent
            if "normalised" in self.changes:
                gates = functional.rms_norm(sums.view(-1, 4, self.hidden), (self.hidden,))
                sums = gates.flatten(1) * self.gain
            i, f, g, o = (before + sums).chunk(4, dim=1)
            forget = f.sigmoid()
            taken = 1 - forget if "coupled" in self.changes else i.sigmoid()
            cell = forget * cell + taken * g.tanh()
            hidden = o.sigmoid() * cell.tanh()
            outputs.append(hidden)
        return torch.stack(outputs), (hidden, cell)


class Run:
    """A training, and its averaged weights."""

    def __init__(
        self, preset: Preset, ids: tuple[Ids, Ids], symbols: int, changes: frozenset[str], seed: int
    ) -> None:
        """Draws the weights; ``ids`` are those of the training and of the held-out part."""
        torch.manual_seed(seed)
        self._random = np.random.default_rng(seed)
        (self.trained, self.held_out), self.preset, self.changes = ids, preset, changes
        self.network = Network(preset, symbols, changes)
        weights: list[Tensor] = list(self.network.parameters())
        decay = preset.training.weight_decay
        groups = [
            {"params": [w for w in weights if w.dim() > 1], "weight_decay": decay},
            {"params": [w for w in weights if w.dim() == 1], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, betas=(BETA_1, BETA_2))
        self.weights = weights
        self.average = [weight.detach().clone() for weight in weights]
        self.expected = self.expected_held_out = torch.zeros(1)
        if "ngram" in changes:
            self.expected = log_probabilities(self.trained, None, symbols)
            self.expected_held_out = log_probabilities(self.trained, self.held_out, symbols)

    def train(self, steps: int) -> Iterator[tuple[int, float]]:
        """Trains for as many characters as some usual steps have; yields done and loss."""
        settings, steps_done, done = self.preset.training, 0, 0
        total = steps * settings.batch * SEQUENCE
        pieces = self._pieces(total)
        state: State = (torch.zeros(()), torch.zeros(()))
        while done < total:
            places, is_first = next(pieces)
            length = len(places)
            if is_first:
                state = self._zeros(settings.batch)
            kept = (torch.rand(settings.batch, 1) > settings.reset_probability).float()
            outputs, state = self.network(self._at(self.trained, places), state)
            state = (state[0].detach() * kept, state[1].detach() * kept)
            logits = self._logits(outputs, self.expected, places)
            loss = self._loss(logits, self._at(self.trained, places + 1))
            share = 0.5 * max(0.0, 1 - 2 * done / total) if "heads" in self.changes else 0.0
            objective = loss
            for number, head in enumerate(self.network.heads if share else ()):
                targets = self._at(self.trained, places + 2 + number)
                objective = objective + share / FURTHER_HEADS * self._loss(head(outputs), targets)
            rate = settings.learning_rate * min(1.0, (steps_done + 1) / settings.warmup_steps)
            rate *= 0.5 * (1 + math.cos(math.pi * done / total)) * (length / SEQUENCE) ** 0.5
            self._update(objective, rate, settings.clip)
            steps_done, done = steps_done + 1, done + places.size
            decay = min(settings.averaging, (1 + steps_done) / (10 + steps_done))
            with torch.no_grad():
                torch._foreach_lerp_(self.average, self.weights, 1 - decay)
            yield done, loss.item()

    def held_out_loss(self) -> float:
        """Returns the nats per character of the held-out part with the averaged weights."""
        kept = [weight.detach().clone() for weight in self.weights]
        length, total = (len(self.held_out) - 1) // SCORED_STREAMS, 0.0
        starts = length * np.arange(SCORED_STREAMS)
        state = self._zeros(SCORED_STREAMS)
        self.network.eval()
        with torch.no_grad():
            torch._foreach_copy_(self.weights, self.average)
            for first in range(0, length, SCORED_STEPS):
                places = starts + np.arange(first, min(length, first + SCORED_STEPS))[:, None]
                outputs, state = self.network(self._at(self.held_out, places), state)
                logits = self._logits(outputs, self.expected_held_out, places)
                targets = self._at(self.held_out, places + 1)
                total += self._loss(logits, targets).item() * places.size
            torch._foreach_copy_(self.weights, kept)
        self.network.train()
        return total / (length * SCORED_STREAMS)

    def _pieces(self, total: int) -> Iterator[tuple[Ids, bool]]:
        """Yields places [T, B] of what is read, and whether an epoch begins with them."""
        batch, done = self.preset.training.batch, 0
        while True:
            offset, is_first = int(self._random.integers(SEQUENCE)), True
            stride = (len(self.trained) - offset - FURTHER_HEADS - 2) // batch
            starts, place = offset + stride * np.arange(batch), 0
            while True:
                length = 32 if "short" in self.changes else SEQUENCE
                if "growing" in self.changes:
                    length = 16 if done < total / 4 else 32 if done < total / 2 else SEQUENCE
                if place + length > stride:
                    break
                yield starts + place + np.arange(length)[:, None], is_first
                place, done, is_first = place + length, done + length * batch, False

    def _logits(self, outputs: Tensor, expected: Tensor, places: Ids) -> Tensor:
        """Returns the logits of the characters after the places, [T, B, V]."""
        logits: Tensor = self.network.head(outputs)
        if "ngram" in self.changes:
            logits = logits + self.network.factor * expected[torch.from_numpy(places + 1)]
        return logits

    def _update(self, objective: Tensor, rate: float, clip: float) -> None:
        self.optimiser.zero_grad()
        objective.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.weights, clip)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()

    def _zeros(self, batch: int) -> State:
        shape = batch, self.network.hidden
        return torch.zeros(shape), torch.zeros(shape)

    @staticmethod
    def _at(ids: Ids, places: Any) -> Tensor:
        return torch.from_numpy(ids[places])

    @staticmethod
    def _loss(logits: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def main() -> None:
    """Trains once, and prints the loss in eight places."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("text")
    parser.add_argument("--change", dest="changes", action="append", choices=CHANGES, default=[])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1956)
    parser.add_argument("--preset", choices=("balanced", "quality"), default="balanced")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    corpus = load_corpus(resolve_source(arguments.text), CorpusOptions())
    split = split_ids(corpus.ids, 0.1)
    ids = (np.array(split.train, np.int64), np.array(split.held_out, np.int64))
    preset, symbols = PRESETS[arguments.preset], len(corpus.vocabulary)
    run = Run(preset, ids, symbols, frozenset(arguments.changes), arguments.seed)
    name, began = " + ".join(arguments.changes) or "none", time.perf_counter()
    eighth = arguments.steps * preset.training.batch * SEQUENCE // 8
    following = eighth
    for done, loss in run.train(arguments.steps):
        if done >= following:
            following += eighth
            seconds = time.perf_counter() - began
            print(
                f"{name}, seed {arguments.seed}: {done:,} characters, {seconds:.0f} s, "
                f"training {loss:.4f}, held out {run.held_out_loss():.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
