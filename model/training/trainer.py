"""One optimiser step at a time: batch, forward, backward, guard, update. PyTorch.

The trainer knows neither files nor threads nor a screen; it is told the time. Everything that its
next step depends on is in ``tensors`` and ``progress``, so that a restored trainer goes on exactly.
Letters: T time, B batch, L layers, H hidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
import torch
from torch import Tensor, nn

from model.compute.batch_threads import BatchThreads
from model.compute.device import Machine
from model.compute.host_copy import HostCopy
from model.config import TrainingConfig
from model.data.batches import Batch, Batches
from model.distributed.process_group import ALONE, ProcessGroup
from model.errors import TrainingDiverged
from model.network.character_network import CharacterNetwork, State
from model.network.dropout import draw_masks
from model.network.pending_snapshot import PendingSnapshot
from model.network.snapshot import WeightSnapshot
from model.runs.checkpoint import without_prefix
from model.runs.checkpoint_form import (
    AVERAGE_PREFIX,
    CARD_RANDOM,
    CPU_RANDOM,
    OPTIMISER_PREFIX,
    STATE_PREFIX,
    WEIGHT_PREFIX,
    Tensors,
)
from model.training.device_batches import DeviceBatches
from model.training.divergence_guard import DivergenceGuard, Verdict
from model.training.ema import EmaWeights
from model.training.gradients import GradientWorkers
from model.training.schedule import Schedule
from model.training.step_result import StepFigures, StepResult

RMSPROP_DECAY = 0.9
KERAS_EPSILON = 1e-7


class Trainer:
    """Trains a network on batches, by the schedule, under the guard."""

    def __init__(
        self,
        network: CharacterNetwork,
        batches: Batches,
        training: TrainingConfig,
        machine: Machine,
        ranks: ProcessGroup = ALONE,
    ) -> None:
        """Puts the network on the machine's device.

        Args:
            network: with its first weights.
            batches: of the whole training; a process takes its share of each.
            training: the settings.
            machine: where and how to compute.
            ranks: the processes that train together; each makes the same steps.
        """
        self.network = network.to(machine.device).train()
        self._parameters = list(network.parameters())  # to go through all modules takes its time
        self.schedule = Schedule(training=training, steps_per_epoch=batches.steps_per_epoch)
        self.step_count = 0
        self._batches = batches
        self._training = training
        self._machine = machine
        self._optimiser = _make_optimiser(network, training, machine)
        self._ranks = ranks
        self._workers = GradientWorkers(network, machine, training.scoring, ranks)
        averaging = training.averaging if ranks.place.leads else 0.0  # nobody else looks at them
        self._average = EmaWeights(network, averaging) if averaging else None
        self.average_leads = False
        """Whether the averaged weights have proved better than the last ones."""
        self._guard = DivergenceGuard(spikes=training.guard)
        self._state: State | None = None
        self._last_good: Tensors = {}
        self._reader = DeviceBatches(machine)
        # An optimiser that skips a step by itself is needed, on the device's own finding.
        self._reads_late = machine.queues and training.optimiser == "adamw"
        self._pending: StepFigures | None = None

    @property
    def epoch(self) -> int:
        """The epoch of the last step made, counted from 1; 1 before the first step."""
        return self._batches.epoch

    @property
    def at_epoch_end(self) -> bool:
        """Whether the last step made was the last of its epoch."""
        return self._batches.at_epoch_end

    def step(self, seconds: float) -> StepResult:
        """Makes one step; ``seconds`` is the training time so far, for the schedule.

        A step whose loss or gradient is not finite is counted but changes no weight; weights that
        are not finite are left behind at once for the last good ones. On a device with a queue
        nobody waits for the step: what is returned and judged is the one before (the first one
        twice), so an explosion is noticed one step later; numbers that are not finite are kept
        from the weights on the device.

        Raises:
            TrainingDiverged: the guard has no remedy left.
        """
        batch = self._batches.next()
        rate = self.schedule.learning_rate(self.step_count, seconds)
        rate *= self._guard.learning_rate_scale
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        loss = self._gradients(batch)
        limit = self._training.clip or float("inf")
        norm = nn.utils.clip_grad_norm_(self._parameters, limit)
        figures = StepFigures(
            step=self.step_count + 1,
            epoch=self.epoch,
            learning_rate=rate,
            characters=batch.streams * batch.sequence,
            numbers=HostCopy({"loss and norm": torch.stack((loss, norm))}),
        )
        if self._reads_late:
            self._optimiser.found_inf = (~torch.isfinite(loss + norm)).float()  # type: ignore[attr-defined]
            self._optimiser.step()
            self._follow_weights()
            self.step_count += 1
            before, self._pending = self._pending or figures, figures
            return self._judged(before)
        return self._judged(figures)

    def _follow_weights(self) -> None:
        if self._average is not None:
            self._average.update(self.step_count)

    def _updated(self, verdict: Verdict) -> Verdict:
        """Makes the update that the verdict allows; rejects weights that are not finite."""
        if verdict is Verdict.APPLY:
            self._optimiser.step()
        # Several processes must come to the same verdict: they see it in the next loss, which is
        # that of all of them.
        alone = self._ranks.place.size == 1
        looked_at = alone and verdict in {Verdict.APPLY, Verdict.SKIP}
        if looked_at and not self._weights_are_finite():
            verdict = self._guard.reject_weights("the weights are not finite")
        if verdict is Verdict.APPLY:
            self._follow_weights()
        self.step_count += 1
        return verdict

    def _judged(self, figures: StepFigures) -> StepResult:
        """Returns what a step found, and does what the guard says, once.

        Raises:
            TrainingDiverged: the guard has no remedy left.
        """
        if figures.result is not None:
            return figures.result
        loss, norm = figures.numbers.arrays()["loss and norm"].tolist()
        verdict = self._guard.judge(loss, norm)
        if not self._reads_late:
            verdict = self._updated(verdict)
        figures.result = StepResult(
            loss=loss,
            gradient_norm=norm,
            learning_rate=figures.learning_rate,
            characters=figures.characters,
            verdict=verdict,
            step=figures.step,
            epoch=figures.epoch,
        )
        if verdict is not Verdict.APPLY:
            self._state = None
        if verdict is Verdict.ROLL_BACK:
            self._roll_back()
        elif verdict is Verdict.GIVE_UP:
            raise TrainingDiverged(
                f"step {figures.step}",
                f"{self._guard.reason}, after three roll-backs",
                "the best checkpoint is kept; try a smaller --learning-rate",
            )
        return figures.result

    def _flush_pending(self) -> None:
        """Judges a step that nobody has looked at yet."""
        if self._pending is not None:
            self._judged(self._pending)

    def snapshot(self) -> WeightSnapshot:
        """Returns a frozen copy of the better weights, averaged or last, for the sampler."""
        return self.begin_snapshot().snapshot()

    def begin_snapshot(self) -> PendingSnapshot:
        """Returns the same on its way, for which the device need not stop."""
        return PendingSnapshot(self.best_network, self.step_count)

    @property
    def best_network(self) -> CharacterNetwork:
        """The network to score and to write with."""
        return self.networks[0]

    @property
    def networks(self) -> list[CharacterNetwork]:
        """Those that deserve scoring, the best known first.

        Once the averaged weights have won they go on winning, for the learning rate only falls;
        until then both are worth the time.
        """
        if self._average is None:
            return [self.network]
        if self.average_leads:
            return [self._average.network]
        return [self.network, self._average.network]

    @property
    def threads(self) -> BatchThreads:
        """Those that compute steps, idle between two."""
        return self._workers.threads

    @property
    def reason(self) -> str:
        """What the guard saw last, in words."""
        return self._guard.reason

    def save_rollback_point(self) -> None:
        """Remembers this moment as the one to go back to, unless the numbers look wrong now."""
        if not self._last_good or self._guard.is_stable:
            self._last_good = self._weights_and_optimiser()

    def compute_on(self, machine: Machine) -> None:
        """Goes on with another way of computing, on the same device."""
        self._workers.close()
        self._machine = machine
        self._workers = GradientWorkers(self.network, machine, self._training.scoring, self._ranks)

    def close(self) -> None:
        """Ends the threads that compute."""
        self._workers.close()

    # --- state, for checkpoints -------------------------------------------------------------------

    def tensors(self, *, carried: bool = True) -> dict[str, npt.NDArray[Any]]:
        """Returns copies of all tensors that the next step depends on.

        Of several processes all call it at once, for the state is in parts; each gets the whole.

        Args:
            carried: whether to ask for the state, which begins cold where it is not saved.
        """
        self._flush_pending()
        tensors = self._weights_and_optimiser()
        if carried and self._state is not None:
            for name, part in zip(self.network.state_names, self._state, strict=True):
                whole = self._ranks.all_gather(part, self._batches.batch)
                tensors[STATE_PREFIX + name] = _numpy(whole)
        tensors[CPU_RANDOM] = torch.get_rng_state().numpy().copy()
        if self._machine.device.type == "cuda":
            tensors[CARD_RANDOM] = torch.cuda.get_rng_state(self._machine.device).numpy().copy()
        return tensors

    def _weights_and_optimiser(self) -> dict[str, npt.NDArray[Any]]:
        tensors: dict[str, npt.NDArray[Any]] = {
            WEIGHT_PREFIX + name: value for name, value in _arrays(self.network).items()
        }
        if self._average is not None:
            averaged = _arrays(self._average.network)
            tensors |= {AVERAGE_PREFIX + name: value for name, value in averaged.items()}
        names = {id(p): name for name, p in self.network.named_parameters()}
        for parameter, values in self._optimiser.state.items():
            for key, value in values.items():
                tensors[f"{OPTIMISER_PREFIX}{names[id(parameter)]}.{key}"] = _numpy(value)
        return tensors

    def progress(self) -> dict[str, Any]:
        """Returns the counters that the next step depends on, as plain values for JSON."""
        self._flush_pending()
        return {
            "step": self.step_count,
            "batches": self._batches.position(),
            "guard": self._guard.state(),
            "average_leads": self.average_leads,
            "engine": self._machine.engine.to_record(),
            "processes": self._ranks.place.size,
            "steps_per_epoch": self.schedule.steps_per_epoch,
        }

    def restore(
        self,
        tensors: Mapping[str, npt.NDArray[Any]],
        progress: Mapping[str, Any],
        *,
        same_text: bool = True,
    ) -> None:
        """Goes back to what ``tensors`` and ``progress`` returned, on this device.

        They are right: PyTorch's optimisers and kernels do not ask. What a file says was compared
        with the settings when it was read (``model.runs.checkpoint_form``).

        The tensors are whole; of several processes each takes its share of the state. In another
        text than the one that was left, the place in it means nothing: without ``same_text`` a new
        epoch begins, with cold state.
        """
        self._guard.restore(progress.get("guard", progress))
        if same_text:
            self._batches.restore(progress["batches"])
        self._load_weights_and_optimiser(tensors)
        self._state = None
        self._pending = None
        state = without_prefix(tensors, STATE_PREFIX)
        if same_text and state:
            own = self._ranks.place.share(self._batches.batch)
            self._state = tuple(
                torch.from_numpy(state[name][:, own].copy()).to(self._machine.device)
                for name in self.network.state_names
            )
        torch.set_rng_state(torch.from_numpy(tensors[CPU_RANDOM].copy()))
        if CARD_RANDOM in tensors and self._machine.device.type == "cuda":
            torch.cuda.set_rng_state(
                torch.from_numpy(tensors[CARD_RANDOM].copy()), self._machine.device
            )
        self.step_count = progress["step"]
        self.average_leads = bool(progress.get("average_leads"))

    # --- the inside of a step ---------------------------------------------------------------------

    def _gradients(self, batch: Batch) -> Tensor:
        """Sets the gradients of a batch, carries the state over, returns the mean loss.

        Every process draws all random numbers of the batch and uses those of its own streams, so
        that what is dropped does not depend on how many there are.
        """
        training, streams = self._training, batch.streams
        own = self._ranks.place.share(streams)
        inputs, targets = self._reader.read(batch, own)
        state = None if batch.starts_epoch else self._state
        if state is None:
            state = self.network.initial_state(inputs.shape[1])
        elif training.reset_probability:
            state = self._with_some_streams_reset(state, streams)
        masks = draw_masks(
            self.network.config,
            training,
            batch=streams,
            width=self.network.input_width,
            device=self._machine.device,
        )
        if masks is not None and inputs.shape[1] < streams:
            masks = masks.of_streams(own)
        loss, after = self._workers.compute(inputs, targets, state, masks, batch.scored)
        self._state = after if training.scoring == "every" else None
        return loss

    def _with_some_streams_reset(self, state: State, streams: int) -> State:
        """Starts a stream cold now and then: a prompt and a restart are cold starts too."""
        keep = torch.rand(streams) >= self._training.reset_probability
        own = keep[self._ranks.place.share(streams)].to(torch.float32)
        mask = self._machine.take(own.numpy())
        return tuple(part * mask.view(-1, *[1] * (part.ndim - 2)) for part in state)

    def _weights_are_finite(self) -> bool:
        """Tells it in one pass over them; a finite gradient can overflow a weight all the same."""
        norm = nn.utils.get_total_norm(self._parameters)
        return bool(torch.isfinite(norm))

    def _roll_back(self) -> None:
        """Takes weights and optimiser from the last good moment, but not its place in the text.

        The learning rate has been halved; repeating the same batches would be no remedy.
        """
        good = self._last_good
        if self._ranks.place.size > 1:
            leads = self._ranks.place.leads
            data = safetensors.numpy.save(dict(good)) if leads else None
            good = safetensors.numpy.load(self._ranks.broadcast_bytes(data))
        if good:
            self._load_weights_and_optimiser(good)
        self._state = None
        self._pending = None

    def _load_weights_and_optimiser(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        self.network.load_arrays(without_prefix(tensors, WEIGHT_PREFIX))
        if self._average is not None:
            self._average.follow_from_here()
            if any(name.startswith(AVERAGE_PREFIX) for name in tensors):
                self._average.load_arrays(without_prefix(tensors, AVERAGE_PREFIX))
        self._optimiser.state.clear()
        for name, parameter in self.network.named_parameters():
            prefix = f"{OPTIMISER_PREFIX}{name}."
            for key, value in tensors.items():
                if key.startswith(prefix):
                    slot = key.removeprefix(prefix)
                    tensor = torch.from_numpy(value.copy())
                    if slot != "step" or self._machine.device.type != "cpu":
                        tensor = tensor.to(self._machine.device)
                    self._optimiser.state[parameter][slot] = tensor


def _make_optimiser(
    network: CharacterNetwork, training: TrainingConfig, machine: Machine
) -> torch.optim.Optimizer:
    if training.optimiser == "rmsprop":
        return torch.optim.RMSprop(
            network.parameters(),
            lr=training.learning_rate,
            alpha=RMSPROP_DECAY,
            eps=KERAS_EPSILON,
        )
    matrices = [p for p in network.parameters() if p.ndim > 1]
    biases = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": training.weight_decay},
        {"params": biases, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups,
        lr=training.learning_rate,
        betas=(0.9, 0.99),
        fused=machine.device.type in {"cpu", "cuda"},
    )


def _arrays(network: CharacterNetwork) -> dict[str, npt.NDArray[np.float32]]:
    """Returns copies of a network's weights under the names of its state dict."""
    return HostCopy(network.state_dict()).arrays()


def _numpy(tensor: Tensor) -> npt.NDArray[Any]:
    """Returns a private copy on the CPU."""
    return tensor.detach().to("cpu", copy=True).numpy()
