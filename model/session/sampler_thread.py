"""The sampler thread: writes characters at a set rate into a bounded buffer.

Only this thread waits when the buffer is full. It reads commands before every character, so a new
temperature holds from the next character on.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Sequence

from corpus import MAX_PROMPT_CHARACTERS, Vocabulary, fit_prompt
from model.commands import (
    ContinueWriting,
    ForkWriting,
    HoldWriting,
    RestartWriting,
    ReturnToTrunk,
    SetConstraints,
    SetLaneTemperature,
    SetMix,
    SetRate,
    SetSampling,
    StartRace,
    StopRace,
    WatchUnit,
    WritingCommand,
)
from model.config import SamplingConfig
from model.constraint_config import NO_CONSTRAINTS, Constraints
from model.errors import ConfigError
from model.events import (
    ConstraintsApplied,
    MixApplied,
    RateSet,
    SamplingApplied,
    VocabularyKnown,
    WeightsSwapped,
    WorkerCrashed,
    WritingEvent,
    WritingHeld,
    WritingRestarted,
    WritingRewound,
)
from model.network.published import PublishedWeights
from model.sampling.stream import CharacterStream
from model.session.race_runner import LaneSource, RaceRunner
from model.steppers.mixture import MixedSnapshot
from model.system.refusal import crash_of

BUFFER = 4096
"""Number of events at which the buffer is full; a screen empties it fifteen times a second."""
MAX_DELAY = 0.25
"""Maximum seconds of delay that the sampler catches up on; a longer delay is dropped."""
DESCRIPTION_INTERVAL = 0.12
"""Seconds between two reports of the distribution of the next character."""

SamplerEvent = WritingEvent | WorkerCrashed


class SamplerThread:
    """Samples text from the newest published weights at a set rate until stopped."""

    def __init__(
        self,
        *,
        sampling: SamplingConfig,
        rate: float,
        prompt: str,
        seed: int | None,
        constraints: Constraints | None = None,
    ) -> None:
        """Creates the sampler without starting its thread.

        Args:
            sampling: initial settings that characters are sampled with.
            rate: initial characters per second.
            prompt: text that the model continues; fitted to the vocabulary once that is known.
            seed: seed of the first text; None draws a random one.
            constraints: what the text obeys at first; None for nothing.
        """
        self._sampling = sampling
        self._constraints = constraints or NO_CONSTRAINTS
        self._rate = rate
        self._prompt = prompt
        self._seed = new_seed() if seed is None else seed
        self._changed = threading.Condition()
        self._commands: deque[WritingCommand] = deque()
        self._published: PublishedWeights | None = None
        self._buffer: deque[SamplerEvent] = deque()
        self._stopping = False
        self._held = False
        self._stream: CharacterStream | None = None
        self._described_at = 0.0
        self._read_at_step = 0
        """Step of the weights that the state of the text was last computed with from the start."""
        self._race = RaceRunner(self._say, lambda vocabulary: self._fitted_prompt(vocabulary)[0])
        self._offered: deque[LaneSource] = deque()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def publish(self, published: PublishedWeights) -> None:
        """Replaces the weights from the next character on; never waits for the thread."""
        with self._changed:
            self._published = published
            self._changed.notify_all()

    def offer(self, source: LaneSource) -> None:
        """Passes a model for a lane of the race; never waits for the thread."""
        with self._changed:
            self._offered.append(source)
            self._changed.notify_all()

    def post(self, command: WritingCommand) -> None:
        """Queues a command, which the thread executes before the next character."""
        with self._changed:
            self._commands.append(command)
            self._changed.notify_all()

    def take(self) -> Sequence[SamplerEvent]:
        """Returns the events since the last call and removes them from the buffer."""
        with self._changed:
            taken, self._buffer = self._buffer, deque()
            if taken:
                self._changed.notify_all()
        return taken

    def stop(self) -> None:
        """Asks the thread to end after the current character."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def join(self, timeout: float) -> bool:
        """Waits for the thread; returns whether it ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    # --- inside the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._write()
        except Exception as error:  # noqa: BLE001 - the top of a worker: a defect becomes an event
            self._say(crash_of("sampler", "writing", error))
        finally:
            if self._stream is not None:
                self._stream.close()

    def _write(self) -> None:
        due = time.monotonic()
        while True:
            with self._changed:
                if self._wait_until(due):
                    return
                commands, self._commands = self._commands, deque()
                published, self._published = self._published, None
                offered, self._offered = self._offered, deque()
            for command in commands:
                self._obey(command)
            if published is not None:
                self._adopt(published)
            self._race.offer(*offered)
            now = time.monotonic()
            if self._stream is None or self._held or self._is_full or now < due:
                if self._held or self._is_full:
                    due = now
                continue
            self._step(self._stream)
            self._race.step()
            if now - self._described_at >= DESCRIPTION_INTERVAL:
                self._describe_next()
            due = max(due, now - MAX_DELAY) + 1 / self._rate

    def _step(self, stream: CharacterStream) -> None:
        """Writes one character; drops constraints whose pattern takes too long."""
        try:
            written = stream.step()
        except ConfigError as error:
            self._drop_constraints(error)
            written = stream.step()
        drafted = stream.take_drafted()
        if drafted is not None:
            self._say(drafted)
        self._say(written)

    def _wait_until(self, due: float) -> bool:
        """Waits for a command, new weights, or the next character's time; returns whether to end.

        The caller holds the lock.
        """
        while not (
            self._stopping or self._commands or self._offered or self._published is not None
        ):
            if self._stream is None or self._held or self._is_full:
                self._changed.wait()
                continue
            left = due - time.monotonic()
            if left <= 0:
                break
            self._changed.wait(left)
        return self._stopping

    @property
    def _is_full(self) -> bool:
        return len(self._buffer) >= BUFFER

    def _obey(self, command: WritingCommand) -> None:
        """Executes one command."""
        match command:
            case SetSampling() | WatchUnit() | SetMix():
                self._reshape(command)
            case StartRace() | SetLaneTemperature() | StopRace():
                self._race.obey(command, new_seed)
            case ForkWriting() | ReturnToTrunk():
                self._rewind(command)
            case SetConstraints(constraints=constraints):
                self._constrain(constraints)
            case HoldWriting() | ContinueWriting():
                self._held = isinstance(command, HoldWriting)
                self._say(WritingHeld(held=self._held))
            case SetRate(characters_per_second=rate):
                self._rate = rate
                self._say(RateSet(characters_per_second=rate))
            case RestartWriting(seed=seed, prompt=prompt):
                self._seed = new_seed() if seed is None else seed
                self._prompt = self._prompt if prompt is None else prompt
                if self._stream is not None:
                    prompt, note = self._fitted_prompt(self._stream.vocabulary)
                    self._stream.restart(seed=self._seed, prompt=prompt)
                    self._say(WritingRestarted(seed=self._seed, prompt=prompt, note=note))

    def _rewind(self, command: ForkWriting | ReturnToTrunk) -> None:
        """Executes a command that replaces the last characters of the text."""
        if self._stream is None:
            return
        match command:
            case ForkWriting(back=back, character=character):
                if self._stream.fork(back, character):
                    self._say(WritingRewound(back=back, text=character, forked=True))
            case ReturnToTrunk():
                taken = self._stream.return_to_trunk()
                if taken is not None:
                    self._say(WritingRewound(back=taken[0], text=taken[1], forked=False))
        self._describe_next()

    def _reshape(self, command: SetSampling | WatchUnit | SetMix) -> None:
        """Executes a command that changes how characters are sampled or reported."""
        stream = self._stream
        match command:
            case SetSampling(sampling=sampling):
                self._sampling = sampling
                self._say(SamplingApplied(sampling=sampling))
            case WatchUnit(layer=layer, unit=unit):
                if stream is not None and stream.has_unit(layer, unit):
                    stream.watched = (layer, unit)
            case SetMix(mix=mix):
                if stream is not None and stream.set_mix(mix):
                    self._race.adopt(stream.snapshot)
                    self._say(MixApplied(mix=mix))
        if stream is not None:
            stream.sampling = self._sampling
            self._describe_next()

    def _constrain(self, constraints: Constraints) -> None:
        """Obeys other constraints; those before still hold if the model cannot."""
        try:
            if self._stream is not None:
                self._stream.constrain(constraints)
        except ConfigError as error:
            self._say(ConstraintsApplied(constraints=self._constraints, note=str(error)))
            return
        self._constraints = constraints
        self._say(ConstraintsApplied(constraints=constraints))
        self._describe_next()

    def _drop_constraints(self, error: ConfigError) -> None:
        """Goes on without constraints that cannot be obeyed, and says why."""
        self._constraints = NO_CONSTRAINTS
        if self._stream is not None:
            self._stream.constrain(self._constraints)
        self._say(ConstraintsApplied(constraints=self._constraints, note=str(error)))

    def _describe_next(self) -> None:
        """Reports the distribution of the next character."""
        if self._stream is not None:
            self._described_at = time.monotonic()
            self._say(self._stream.describe_next())

    def _fitted_prompt(self, vocabulary: Vocabulary) -> tuple[str, str | None]:
        """Returns the end of the prompt in the model's characters, and a note for the user.

        The note says what was cut, replaced or dropped; it is None if nothing was.
        """
        end = self._prompt[-MAX_PROMPT_CHARACTERS:]
        fitted = fit_prompt(end, vocabulary)
        if len(end) == len(self._prompt):
            return fitted.text, fitted.note
        cut = f"the prompt is long: its last {MAX_PROMPT_CHARACTERS:,} characters are read"
        return fitted.text, "; ".join(filter(None, (cut, fitted.note)))

    def _say(self, *events: SamplerEvent) -> None:
        with self._changed:
            # If no character was written between two swaps, report only the newest weights.
            # Otherwise swaps would fill the buffer while no screen reads it.
            if (
                isinstance(events[0], WeightsSwapped)
                and self._buffer
                and isinstance(self._buffer[-1], WeightsSwapped)
            ):
                self._buffer.pop()
            self._buffer.extend(events)

    def _adopt(self, published: PublishedWeights) -> None:
        """Continues the text with new weights; the first weights of a shape start it."""
        stream = self._stream
        if stream is None or not published.snapshot.has_shape_of(stream.snapshot):
            self._begin(published)
        else:
            stream.snapshot = published.snapshot
            if published.snapshot.step >= max(1, 2 * self._read_at_step):
                stream.reread()
                self._read_at_step = published.snapshot.step
        self._race.offer(LaneSource.of_weights(published))
        self._say(WeightsSwapped(step=published.snapshot.step, best=published.best))

    def _begin(self, published: PublishedWeights) -> None:
        """Starts the text with weights of another shape."""
        self._say(VocabularyKnown(vocabulary=published.vocabulary))
        prompt, note = self._fitted_prompt(published.vocabulary)
        watched = None if self._stream is None else self._stream.watched
        self._read_at_step = published.snapshot.step
        if self._stream is not None:
            self._stream.close()
        self._stream = CharacterStream(
            published.snapshot,
            published.vocabulary,
            sampling=self._sampling,
            seed=self._seed,
            prompt=prompt,
            window=published.window,
        )
        try:
            self._stream.constrain(self._constraints)
        except ConfigError as error:
            self._drop_constraints(error)
        if not self._constraints.is_empty:
            self._say(ConstraintsApplied(constraints=self._constraints))
        if isinstance(published.snapshot, MixedSnapshot):
            self._say(MixApplied(mix=published.snapshot.mix))
        if watched is not None and self._stream.has_unit(*watched):
            self._stream.watched = watched
        self._say(WritingRestarted(seed=self._seed, prompt=prompt, note=note))


def new_seed() -> int:
    """Returns a random seed below one million, short enough to be read aloud."""
    return random.SystemRandom().randrange(10**6)
