"""Computes loss and gradients of a step with threads and processes that share its streams. PyTorch.

Threads that share every matrix product need a barrier at every time step. Threads that each compute
a shard of the streams need one barrier a step. Processes with separate streams need one all-reduce
a step. It adds the loss and all gradients in one buffer after the backward pass. Gradients are
added in a fixed order. Letters: T time, B batch.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.compute.batch_threads import BatchThreads
from model.compute.cuda_graph import GraphRunner
from model.compute.device import Machine
from model.compute.engine import Engine
from model.config import ScoringMode
from model.distributed.process_group import ALONE, ProcessGroup
from model.network.character_network import CharacterNetwork, State, joined, streams_of
from model.network.dropout import DropoutMasks
from model.network.lstm import NormalisedLSTM

if TYPE_CHECKING:
    from model.network.compiled_step import CompiledStep


class GradientWorkers:
    """Computes gradients with a machine's engine, in threads that ``close`` ends."""

    def __init__(
        self,
        network: CharacterNetwork,
        machine: Machine,
        scoring: ScoringMode,
        ranks: ProcessGroup = ALONE,
    ) -> None:
        self._ranks = ranks
        self._machine = machine
        self._engine: Engine = machine.engine
        self._scoring = scoring
        self._gradients = [_gradient_of(parameter) for parameter in network.parameters()]
        self._recording = GraphRunner(machine.device)
        products = machine.products
        if self._engine.layer == "sequence":
            from model.network.compiled_layer import prepare_compiled_layer  # noqa: PLC0415 - there

            prepare_compiled_layer(products, normalised=isinstance(network, NormalisedLSTM))
        self._networks = [network]
        """One for each thread that computes at the same time."""
        self._step: CompiledStep | None = None
        if self._engine.layer == "step":
            from model.network.compiled_step import CompiledStep  # noqa: PLC0415 - Numba

            self._step = CompiledStep(network, self._gradients, products)
        engine = self._engine
        if self._step is None:
            self._networks += [_with_same_weights(network) for _ in range(1, engine.batch_shards)]
        self._threads = BatchThreads(engine.batch_shards, threads_of_each=engine.threads_per_shard)
        self.threads = self._threads
        """The same number of threads, one shard each, for other work between two steps."""
        if engine.threads_per_shard > 1:
            self.threads = BatchThreads(engine.threads)

    def close(self) -> None:
        """Ends the threads."""
        self._threads.close()
        self.threads.close()

    def compute(
        self,
        inputs: Tensor,
        targets: Tensor,
        state: State,
        masks: DropoutMasks | None,
        total: int | None = None,
    ) -> tuple[Tensor, State]:
        """Computes the loss and sets every parameter's ``grad``.

        Args:
            inputs: int64 [T, B], this process's streams. B may be 0 in a batch of few windows.
            targets: int64 [T, B], the characters that follow, or float32 [T, B, V], their
                probabilities; without T if only the last position is scored.
            state: recurrent state of these streams before the first character.
            masks: dropout masks; None without dropout.
            total: scored characters of all processes; None counts those of this one.

        Returns:
            The mean loss in nats per scored character of all processes, and the state of these
            streams after the last character. The device may still compute the loss. On a device
            with a queue the next call may overwrite the loss, the state and the gradients.
        """
        if total is None:
            total = inputs.numel() if self._scoring == "every" else inputs.shape[1]
        if not inputs.shape[1]:
            torch._foreach_zero_(self._gradients)
            loss = self._gradients[0].new_zeros(())
        elif self._step is not None:
            loss, state = self._step.compute(
                self._threads,
                inputs,
                targets,
                state,
                masks,
                total=total,
            )
        else:
            loss, state = self._of_shards(inputs, targets, state, masks, total)
        if self._ranks.place.size > 1:
            loss = self._of_all_processes(loss)
        return loss, state

    def _of_shards(
        self,
        inputs: Tensor,
        targets: Tensor,
        state: State,
        masks: DropoutMasks | None,
        total: int,
    ) -> tuple[Tensor, State]:
        """Sets the gradients by PyTorch's, and returns loss and state of this process."""
        of_streams = self._recorded if self._machine.queues else self._of_streams

        def of_shard(streams: slice) -> tuple[Tensor, tuple[Tensor, ...], State]:
            soft = targets.is_floating_point()
            return of_streams(
                inputs[:, streams],
                targets[..., streams, :] if soft else targets[..., streams],
                streams_of(state, streams),
                None if masks is None else masks.of_streams(streams),
                total,
            )

        results = self._threads.map(of_shard, inputs.shape[1])
        losses, (first, *others), states = zip(*results, strict=True)
        torch._foreach_copy_(self._gradients, list(first))
        for part in others:
            torch._foreach_add_(self._gradients, list(part))
        return torch.stack(losses).sum(), joined(states)

    def _of_all_processes(self, loss: Tensor) -> Tensor:
        """Adds up the gradients of all processes; returns the sum of their losses."""
        sizes = [gradient.numel() for gradient in self._gradients]
        pieces = [*(gradient.reshape(-1) for gradient in self._gradients), loss.reshape(1)]
        *flat, total = torch.split(self._ranks.all_reduce_many(pieces), [*sizes, 1])
        views = [piece.view_as(like) for piece, like in zip(flat, self._gradients, strict=True)]
        torch._foreach_copy_(self._gradients, views)
        return total[0]

    def _recorded(
        self,
        inputs: Tensor,
        targets: Tensor,
        state: State,
        masks: DropoutMasks | None,
        total: int,
    ) -> tuple[Tensor, tuple[Tensor, ...], State]:
        """Returns the results of `_of_streams`, which is recorded once and then replayed."""

        def work(operands: Sequence[Tensor]) -> Sequence[Tensor]:
            inputs, targets, *rest = operands
            carried, factors = tuple(rest[: len(state)]), rest[len(state) :]
            dropped = None if masks is None else masks.with_factors(factors)
            loss, gradients, after = self._of_streams(inputs, targets, carried, dropped, total)
            return (loss, *after, *gradients)

        factors = () if masks is None else masks.factors()
        loss, *rest = self._recording(work, (inputs, targets, *state, *factors), total)
        return loss, tuple(rest[len(state) :]), tuple(rest[: len(state)])

    def _of_streams(
        self,
        inputs: Tensor,
        targets: Tensor,
        state: State,
        masks: DropoutMasks | None,
        total: int,
    ) -> tuple[Tensor, tuple[Tensor, ...], State]:
        """Returns some streams' part of the mean loss, its gradients, and their new state."""
        products, layer = self._machine.products, self._engine.layer
        with self._own_network() as network:
            with self._machine.autocast():
                outputs, state = network.training_forward(inputs, state, masks, layer, products)
                scored = outputs if self._scoring == "every" else outputs[-1]
                logits = network.logits(scored).float().flatten(0, -2)
            soft = targets.is_floating_point()
            wanted = targets.reshape(logits.shape if soft else -1)
            loss = functional.cross_entropy(logits, wanted, reduction="sum") / total
            gradients = torch.autograd.grad(loss, list(network.parameters()))
        return loss.detach(), gradients, tuple(part.detach().float() for part in state)

    @contextmanager
    def _own_network(self) -> Iterator[CharacterNetwork]:
        """Gives the calling thread a network that no other one uses meanwhile."""
        network = self._networks.pop()
        try:
            yield network
        finally:
            self._networks.append(network)


def _gradient_of(parameter: Tensor) -> Tensor:
    """Returns the memory of a parameter's gradient; the first call allocates it."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter, requires_grad=False)
    return parameter.grad


def _with_same_weights(network: CharacterNetwork) -> CharacterNetwork:
    """Returns a network that shares the memory of the weights, but no tensor object.

    A program whose threads counted references to the same tensors once died in that counting.
    """
    others = {id(value): nn.Parameter(value.detach()) for value in network.parameters()}
    return copy.deepcopy(network, dict(others))
