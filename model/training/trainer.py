"""Makes one optimiser step at a time: batch, forward, backward, verdict, update. PyTorch.

The trainer uses no file, no thread and no screen, and its caller passes the time. ``tensors`` and
``progress`` hold everything that its next step depends on, so a restored trainer continues exactly.
Letters: T time, B batch, L layers, H hidden.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
import torch
from torch import Tensor

from model.compute.batch_threads import BatchThreads
from model.compute.device import Machine
from model.compute.host_copy import HostCopy
from model.config import TrainingConfig
from model.data.batches import Batch, Batches
from model.distributed.process_group import ALONE, ProcessGroup
from model.errors import TrainingDiverged
from model.evaluation.scoring import Forward
from model.evaluation.soft_targets import soft_targets
from model.network.character_network import CharacterNetwork, State
from model.network.dropout import draw_masks
from model.network.parameters import initial_parameters
from model.network.pending_snapshot import PendingSnapshot
from model.network.snapshot import WeightSnapshot
from model.runs.checkpoint import without_prefix
from model.runs.checkpoint_form import (
    CARD_RANDOM,
    CPU_RANDOM,
    STATE_PREFIX,
    TEACHER_PREFIX,
    Tensors,
)
from model.training.device_batches import DeviceBatches
from model.training.divergence_guard import DivergenceGuard, Verdict
from model.training.gradients import GradientWorkers
from model.training.schedule import Schedule
from model.training.update import DeferredUpdate, ImmediateUpdate, StepFigures, StepResult, Update
from model.training.weights import TrainedWeights, numpy_copy


class Trainer:
    """Trains a network on batches with a learning rate schedule and a divergence guard."""

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
            network: the network with its first weights.
            batches: all streams' batches. Each process takes its share of every batch.
            training: the settings.
            machine: the device and the engine.
            ranks: the processes that train together. They all make the same steps.
        """
        decay = training.averaging if ranks.place.leads else 0.0  # only rank 0 uses the EMA
        self._weights = TrainedWeights(network, training, machine, decay)
        self.network = network
        self.schedule = Schedule(training=training, steps_per_epoch=batches.steps_per_epoch)
        self._batches = batches
        self._training = training
        self._machine = machine
        self._ranks = ranks
        self._workers = GradientWorkers(network, machine, training.scoring, ranks)
        self._guard = DivergenceGuard(spikes=training.guard)
        self._state: State | None = None
        self._last_good: Tensors = {}
        self._reader = DeviceBatches(machine)
        self._teacher: Tensors | None = None
        """Weights of the network that this one learns from."""
        self._update = self._make_update(deferred=machine.queues and training.optimiser == "adamw")

    def _make_update(self, *, deferred: bool) -> Update:
        """Returns the update policy; a deferred one needs an optimiser that skips steps itself."""
        if deferred:
            return DeferredUpdate(self._weights, self._guard, self._on_verdict)
        return ImmediateUpdate(
            self._weights,
            self._guard,
            self._on_verdict,
            checks_weights=self._ranks.place.size == 1,
        )

    @property
    def step_count(self) -> int:
        """Steps made so far, including those that changed no weight."""
        return self._weights.step_count

    @step_count.setter
    def step_count(self, count: int) -> None:
        self._weights.step_count = count

    @property
    def average_leads(self) -> bool:
        """Whether the averaged weights have a lower validation loss than the latest weights."""
        return self._weights.average_leads

    @average_leads.setter
    def average_leads(self, leads: bool) -> None:
        self._weights.average_leads = leads

    @property
    def epoch(self) -> int:
        """The epoch of the last step made, counted from 1; 1 before the first step."""
        return self._batches.epoch

    @property
    def steps_left_in_epoch(self) -> int:
        """Steps of the epoch after the last step made; 0 if that was its last."""
        return self._batches.steps_left

    def step(self, seconds: float) -> StepResult:
        """Makes one step and returns the newest known result.

        A step whose loss or gradient is not finite is counted but changes no weight. Weights that
        are not finite are rolled back at once. On a device with a queue the result belongs to the
        step before, as `DeferredUpdate` describes. A divergence is then noticed one step later.

        Args:
            seconds: training time so far, for the schedule.

        Raises:
            TrainingDiverged: the guard has no remedy left.
        """
        assert self._teacher is None or self._reader.soft_targets is not None, "it was taught"
        batch = self._batches.next()
        rate = self.schedule.learning_rate(self.step_count, seconds)
        rate *= self._guard.learning_rate_scale
        self._weights.set_learning_rate(rate)
        loss = self._gradients(batch)
        limit = self._training.clip or float("inf")
        norm = self._weights.clip_gradients(limit)
        numbers = torch.stack((loss, norm))
        return self._update.apply(
            StepFigures(
                step=self.step_count + 1,
                epoch=self.epoch,
                learning_rate=rate,
                characters=batch.streams * batch.sequence,
                on_device=numbers,
                on_host=HostCopy({"figures": numbers}),
            )
        )

    def _on_verdict(self, result: StepResult) -> None:
        """Carries out the verdict on a step, once for each step.

        Raises:
            TrainingDiverged: the guard has no remedy left.
        """
        verdict = result.verdict
        if verdict is not Verdict.APPLY:
            self._state = None
        if verdict is Verdict.ROLL_BACK:
            self._roll_back()
        elif verdict is Verdict.GIVE_UP:
            raise TrainingDiverged(
                f"step {result.step}",
                f"{self._guard.reason}, after three roll-backs",
                "the best checkpoint is kept; try a smaller --learning-rate",
            )

    def snapshot(self) -> WeightSnapshot:
        """Returns a frozen copy of the better weights (averaged or latest) for the sampler."""
        return self.begin_snapshot().snapshot()

    def begin_snapshot(self) -> PendingSnapshot:
        """Starts a copy of the better weights, which the device finishes while it trains on."""
        return PendingSnapshot(self.best_network, self.step_count)

    def must_teach(self, seconds: float) -> bool:
        """Whether `teach` comes before the next step; ``seconds`` of training are over."""
        if self.schedule.role == "student":
            return self._reader.soft_targets is None
        return self.schedule.teacher_is_done(self.step_count, seconds)

    def teach(self, cancelled: Callable[[], bool] = lambda: False) -> bool:
        """Finds what a student learns, with `READINGS` forward passes over the text.

        Its teacher is this network, unless the student has begun. All processes call it together.

        Returns:
            Whether it was found; not if ``cancelled`` broke it off in any process.
        """
        network = copy.deepcopy(self.network)  # a new one would draw random numbers
        network.load_arrays(self._teacher or self._better_weights())
        text = self._batches.ids, self._training
        found = soft_targets(network, *text, self._machine, self.threads, cancelled=cancelled)
        broken_off = torch.tensor([float(found is None)])
        self._ranks.all_reduce(broken_off)
        self._reader.soft_targets = None if broken_off.any() else found
        return self._reader.soft_targets is not None

    def begin_student(self, seconds: float) -> None:
        """Begins another network after `teach`, in all processes; ``seconds`` are over."""
        self._teacher = self._better_weights()
        config, symbols = self.network.config, self.network.vocabulary_size
        # Another seed than the teacher's, whose first weights were those of the training's seed.
        weights = initial_parameters(config, symbols, self._training.seed ^ 1)
        self._weights.begin_again(weights)
        self._guard.restore(DivergenceGuard().state())
        self._state = None
        self.schedule = self.schedule.with_student(self.step_count, seconds)
        self._last_good = {}
        self.save_rollback_point()

    def _better_weights(self) -> Tensors:
        """Returns a copy of what the first process would validate first."""
        self._update.flush()
        return self._of_first_process(HostCopy(self.best_network.state_dict()).arrays())

    @property
    def best_network(self) -> CharacterNetwork:
        """The better network (averaged or latest weights), for evaluation and sampling."""
        return self.networks[0]

    @property
    def networks(self) -> list[CharacterNetwork]:
        """The networks to validate, the better one first."""
        return self._weights.networks

    @property
    def threads(self) -> BatchThreads:
        """The threads that compute steps; they are idle between two steps."""
        return self._workers.threads

    def compiled_forward(self, network: CharacterNetwork) -> Forward | None:
        """Returns a network's forward pass in compiled code; None if steps do not use that."""
        if self._machine.engine.layer == "torch":
            return None
        forward, products = network.training_forward, self._machine.products
        return lambda ids, state: forward(ids, state, None, "sequence", products)

    @property
    def reason(self) -> str:
        """Why the guard rejected the latest rejected step, in words."""
        return self._guard.reason

    def save_rollback_point(self) -> None:
        """Keeps a copy of the weights for a roll-back, unless a recent step is suspect."""
        if not self._last_good or self._guard.is_stable:
            self._last_good = self._weights.tensors()

    def compute_on(self, machine: Machine) -> None:
        """Continues with another engine on the same device."""
        self._workers.close()
        self._machine = machine
        self._workers = GradientWorkers(self.network, machine, self._training.scoring, self._ranks)

    def close(self) -> None:
        """Ends the threads that compute steps."""
        self._workers.close()

    # --- state, for checkpoints -------------------------------------------------------------------

    def tensors(self, *, carried: bool = True) -> dict[str, npt.NDArray[Any]]:
        """Returns copies of all tensors that the next step depends on.

        All processes must call it together, because each holds a part of the carried state. Each
        receives the state of all streams.

        Args:
            carried: whether to include the carried state. Otherwise a resumed run starts cold.
        """
        self._update.flush()
        tensors = self._weights.tensors()
        if carried and self._state is not None:
            for name, part in zip(self.network.state_names, self._state, strict=True):
                whole = self._ranks.all_gather(part, self._batches.batch)
                tensors[STATE_PREFIX + name] = numpy_copy(whole)
        if self._teacher is not None:
            tensors |= {TEACHER_PREFIX + name: value for name, value in self._teacher.items()}
        tensors[CPU_RANDOM] = torch.get_rng_state().numpy().copy()
        if self._machine.device.type == "cuda":
            tensors[CARD_RANDOM] = torch.cuda.get_rng_state(self._machine.device).numpy().copy()
        return tensors

    def progress(self) -> dict[str, Any]:
        """Returns the counters that the next step depends on, as plain values for JSON."""
        self._update.flush()
        return {
            "step": self.step_count,
            "batches": self._batches.position(),
            "guard": self._guard.state(),
            "average_leads": self.average_leads,
            "engine": self._machine.engine.to_record(),
            "processes": self._ranks.place.size,
            "steps_per_epoch": self.schedule.steps_per_epoch,
            "student_since": self.schedule.student_since,
        }

    def restore(
        self,
        tensors: Mapping[str, npt.NDArray[Any]],
        progress: Mapping[str, Any],
        *,
        same_text: bool = True,
    ) -> None:
        """Restores what ``tensors`` and ``progress`` returned, on this device.

        PyTorch's optimisers and kernels do not check the values. `model.runs.checkpoint_form`
        compared the file with the settings when it was read.

        Args:
            tensors: the tensors. Each process takes its share of the carried state.
            progress: the counters.
            same_text: whether the text is the one of the checkpoint. With another text the position
                in it is meaningless, so a new epoch starts with cold state.
        """
        self._guard.restore(progress.get("guard", progress))
        if same_text:
            self._batches.restore(progress["batches"])
        self._weights.load(tensors)
        self.schedule = self.schedule.resumed(progress)
        if self.schedule.role == "student":
            self._weights.first_step = self.schedule.first_step
            self._teacher = without_prefix(tensors, TEACHER_PREFIX)
        self._state = None
        self._update.discard()
        state = without_prefix(tensors, STATE_PREFIX)
        if same_text and state:
            share = self._ranks.place.share(self._batches.batch)
            self._state = tuple(
                torch.from_numpy(state[name][:, share].copy()).to(self._machine.device)
                for name in self.network.state_names
            )
        torch.set_rng_state(torch.from_numpy(tensors[CPU_RANDOM].copy()))
        if CARD_RANDOM in tensors and self._machine.device.type == "cuda":
            torch.cuda.set_rng_state(
                torch.from_numpy(tensors[CARD_RANDOM].copy()), self._machine.device
            )
        self.step_count = progress["step"]
        self.average_leads = bool(progress.get("average_leads"))

    # --- one step ---------------------------------------------------------------------------------

    def _gradients(self, batch: Batch) -> Tensor:
        """Sets the gradients of a batch, keeps the carried state, and returns the mean loss.

        Every process draws the random numbers of the whole batch and uses those of its streams.
        The dropped units therefore do not depend on the number of processes.
        """
        training, streams = self._training, batch.streams
        share = self._ranks.place.share(streams)
        inputs, targets = self._reader.read(batch, share)
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
            masks = masks.of_streams(share)
        loss, after = self._workers.compute(inputs, targets, state, masks, batch.scored)
        self._state = after if training.scoring == "every" else None
        return loss

    def _with_some_streams_reset(self, state: State, streams: int) -> State:
        """Zeroes the state of random streams, so that the network learns to start cold."""
        keep = torch.rand(streams).numpy() >= self._training.reset_probability
        mask = self._machine.take(keep[self._ranks.place.share(streams)].astype(np.float32))
        return tuple(part * mask.view(-1, *[1] * (part.ndim - 2)) for part in state)

    def _roll_back(self) -> None:
        """Restores weights and optimiser of the roll-back point, but not the place in the text.

        Training continues with new batches, because the same ones again would not help.
        """
        good = self._of_first_process(self._last_good)
        if good:
            self._weights.load(good)
        self._state = None
        self._update.discard()

    def _of_first_process(self, tensors: Tensors) -> Tensors:
        """Returns the first process's tensors; all must call it together."""
        if self._ranks.place.size == 1:
            return tensors
        data = safetensors.numpy.save(dict(tensors)) if self._ranks.place.leads else None
        return safetensors.numpy.load(self._ranks.broadcast_bytes(data))
