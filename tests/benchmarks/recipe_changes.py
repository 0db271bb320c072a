"""Measures changes to a recipe in plain PyTorch, at equal steps, for docs/recipes.md.

    python tests/benchmarks/recipe_changes.py TEXT [--change C ...] [--chain N [--apart]]
        [--seed N] [--steps N] [--preset P]

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

With `--chain N`, N networks that have as much recurrent work together as the preset's are trained
one after another. Each learns half from the text and half from the mean probabilities of those
before it (Furlanello et al. 2018), or from the text alone with `--apart`. The losses are those of
each network, and of the mean probabilities of all so far.

Not a test: it passes no judgement.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
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

    def zero_state(self, batch: int) -> State:
        """Returns the state [B, H] twice before any character."""
        return torch.zeros(batch, self.hidden), torch.zeros(batch, self.hidden)

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


class Teachers:
    """Trained networks from whose mean probabilities the next one learns."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks
        self._states: list[State] = []

    def __bool__(self) -> bool:
        return bool(self._networks)

    def begin(self, batch: int) -> None:
        """Forgets the characters read."""
        self._states = [network.zero_state(batch) for network in self._networks]

    def probabilities(self, ids: Tensor, kept: Tensor) -> Tensor:
        """Reads on; returns [T, B, V]. ``kept`` [B, 1] is 0 where the state is reset afterwards."""
        results = []
        with torch.no_grad():
            for number, network in enumerate(self._networks):
                outputs, (hidden, cell) = network(ids, self._states[number])
                self._states[number] = (hidden * kept, cell * kept)
                results.append(network.head(outputs).softmax(-1))
        return torch.stack(results).mean(0)


class Run:
    """A training, and its averaged weights."""

    def __init__(
        self,
        preset: Preset,
        ids: tuple[Ids, Ids],
        symbols: int,
        changes: frozenset[str],
        seed: int,
        teachers: Sequence[Network] = (),
    ) -> None:
        """Draws the weights; ``ids`` are those of the training and of the held-out part."""
        self.teachers = Teachers(teachers)
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
                state = self.network.zero_state(settings.batch)
                self.teachers.begin(settings.batch)
            kept = (torch.rand(settings.batch, 1) > settings.reset_probability).float()
            read = self._at(self.trained, places)
            outputs, state = self.network(read, state)
            state = (state[0].detach() * kept, state[1].detach() * kept)
            logits = self._logits(outputs, self.expected, places)
            loss = self._loss(logits, self._at(self.trained, places + 1))
            share = 0.5 * max(0.0, 1 - 2 * done / total) if "heads" in self.changes else 0.0
            objective = loss
            if self.teachers:
                wanted = self.teachers.probabilities(read, kept)
                objective = (loss + self._loss(logits, wanted)) / 2
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

    def held_out_nats(self) -> Tensor:
        """Returns the nats of each held-out character with the averaged weights."""
        kept = [weight.detach().clone() for weight in self.weights]
        length, nats = (len(self.held_out) - 1) // SCORED_STREAMS, []
        starts = length * np.arange(SCORED_STREAMS)
        state = self.network.zero_state(SCORED_STREAMS)
        self.network.eval()
        with torch.no_grad():
            torch._foreach_copy_(self.weights, self.average)
            for first in range(0, length, SCORED_STEPS):
                places = starts + np.arange(first, min(length, first + SCORED_STEPS))[:, None]
                outputs, state = self.network(self._at(self.held_out, places), state)
                logits = self._logits(outputs, self.expected_held_out, places)
                targets = self._at(self.held_out, places + 1)
                each = functional.cross_entropy(logits.movedim(-1, 1), targets, reduction="none")
                nats.append(each.flatten())
            torch._foreach_copy_(self.weights, kept)
        self.network.train()
        return torch.cat(nats)

    def trained_network(self) -> Network:
        """Returns the network with the averaged weights, for scoring alone."""
        with torch.no_grad():
            torch._foreach_copy_(self.weights, self.average)
        return self.network.eval()

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

    @staticmethod
    def _at(ids: Ids, places: Any) -> Tensor:
        return torch.from_numpy(ids[places])

    @staticmethod
    def _loss(logits: Tensor, targets: Tensor) -> Tensor:
        """Takes targets as ids [T, B] or as probabilities [T, B, V]."""
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten(0, 1))


def loss_together(nats: Sequence[Tensor]) -> float:
    """Returns the nats per character of networks' mean probabilities; ``nats`` are each one's."""
    together = torch.stack([-each for each in nats]).logsumexp(0) - math.log(len(nats))
    return -together.mean().item()


def equal_parts(preset: Preset, networks: int) -> Preset:
    """Returns a preset of which so many networks have the recurrent work of one of the preset."""
    hidden = 8 * round(preset.model.hidden / math.sqrt(networks) / 8)
    return dataclasses.replace(preset, model=dataclasses.replace(preset.model, hidden=hidden))


def main() -> None:
    """Trains, and prints the loss in eight places of each training, and that of all together."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("text")
    parser.add_argument("--change", dest="changes", action="append", choices=CHANGES, default=[])
    parser.add_argument("--chain", type=int, default=1, metavar="N")
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1956)
    parser.add_argument("--preset", choices=("balanced", "quality"), default="balanced")
    arguments = parser.parse_args()
    if arguments.chain > 1 and "ngram" in arguments.changes:
        parser.error("--chain and --change ngram cannot be combined")
    torch.set_num_threads(1)
    corpus = load_corpus(resolve_source(arguments.text), CorpusOptions())
    split = split_ids(corpus.ids, 0.1)
    ids = (np.array(split.train, np.int64), np.array(split.held_out, np.int64))
    preset = equal_parts(PRESETS[arguments.preset], arguments.chain)
    name, began = " + ".join(arguments.changes) or "none", time.perf_counter()
    eighth = arguments.steps * preset.training.batch * SEQUENCE // 8
    changes, networks, nats = frozenset(arguments.changes), list[Network](), list[Tensor]()
    for number in range(arguments.chain):
        teachers = [] if arguments.apart else networks
        seed, following = arguments.seed + number, eighth
        run = Run(preset, ids, len(corpus.vocabulary), changes, seed, teachers)
        for done, loss in run.train(arguments.steps):
            if done >= following:
                following += eighth
                seconds = time.perf_counter() - began
                held_out = run.held_out_nats()
                print(
                    f"{name}, LSTM({preset.model.hidden}), seed {seed}: {done:,} characters, "
                    f"{seconds:.0f} s, training {loss:.4f}, held out {held_out.mean().item():.4f}",
                    flush=True,
                )
        networks.append(run.trained_network())
        nats.append(held_out)  # the last eighth ends with the last step
        if number:
            print(f"{name}: {number + 1} networks together, {loss_together(nats):.4f}", flush=True)


if __name__ == "__main__":
    main()
