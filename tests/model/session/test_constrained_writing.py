"""The sampler thread obeys constraints that change while it writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from model_fixtures import VOCABULARY, make_snapshot
from patience import PATIENCE, wait_until

from corpus import Vocabulary
from model.commands import SetConstraints
from model.config import SamplingConfig
from model.constraint_config import Constraints
from model.events import CharacterWritten, ConstraintsApplied, LineDrafted, WritingRestarted
from model.network.published import PublishedWeights
from model.session.sampler_thread import SamplerEvent, SamplerThread


class Writing:
    """A sampler thread, and all that it has said."""

    def __init__(self, sampler: SamplerThread) -> None:
        self.sampler = sampler
        self.said: list[SamplerEvent] = []

    def until(self, kind: type[SamplerEvent], count: int = 1) -> None:
        """Waits for this many more events of a kind."""
        start = len(self.said)

        def met() -> bool:
            self.said.extend(self.sampler.take())
            return sum(isinstance(event, kind) for event in self.said[start:]) >= count

        wait_until(met, kind.__name__)

    @property
    def applied(self) -> list[ConstraintsApplied]:
        return [event for event in self.said if isinstance(event, ConstraintsApplied)]


@contextmanager
def writing(constraints: Constraints, vocabulary: Vocabulary = VOCABULARY) -> Iterator[Writing]:
    sampler = SamplerThread(
        sampling=SamplingConfig(), rate=10_000, prompt="", seed=1, constraints=constraints
    )
    snapshot = make_snapshot(3)
    sampler.publish(PublishedWeights(snapshot=snapshot, vocabulary=vocabulary))
    sampler.start()
    try:
        yield Writing(sampler)
    finally:
        sampler.stop()
        assert sampler.join(PATIENCE)


def text_of(events: list[SamplerEvent]) -> str:
    return "".join(event.character for event in events if isinstance(event, CharacterWritten))


def test_constraints_are_set_changed_and_cleared_while_the_text_streams() -> None:
    with writing(Constraints(forbid="t")) as it:
        it.until(CharacterWritten, 100)
        assert "t" not in text_of(it.said)
        it.sampler.post(SetConstraints(constraints=Constraints(line_matches="a", forbid="e")))
        it.until(LineDrafted, 2)
        place = next(i for i, event in enumerate(it.said) if event == it.applied[1])
        assert "t" not in text_of(it.said[:place])
        assert "e" not in text_of(it.said[place:])
        it.sampler.post(SetConstraints(constraints=Constraints()))
        it.until(ConstraintsApplied)
        it.until(CharacterWritten, 30)
        assert it.said[-1].mask_bits is None  # type: ignore[union-attr]
        assert [each.note for each in it.applied] == [None] * 3


def test_what_the_model_cannot_obey_is_said_and_the_text_goes_on() -> None:
    without_lines = Vocabulary.from_symbols("abcdefghijklmnopqrstuvwxyz"[: len(VOCABULARY)])
    with writing(Constraints(acrostic="x"), without_lines) as it:
        it.until(CharacterWritten, 5)
        assert any(isinstance(event, WritingRestarted) for event in it.said)
        it.sampler.post(SetConstraints(constraints=Constraints(forbid="a")))
        it.until(ConstraintsApplied)
        it.sampler.post(SetConstraints(constraints=Constraints(line_length=(1, 2))))
        it.until(ConstraintsApplied)
        it.until(CharacterWritten, 5)
    assert [each.constraints for each in it.applied] == [
        Constraints(),
        Constraints(forbid="a"),
        Constraints(forbid="a"),
    ]
    assert [each.note is None for each in it.applied] == [False, True, False]


def test_a_pattern_that_takes_too_long_is_dropped_and_the_text_goes_on() -> None:
    with writing(Constraints(line_matches="^(.|.|..)+#$")) as it:
        it.until(ConstraintsApplied, 2)
        it.until(CharacterWritten, 5)
    assert it.applied[-1].constraints == Constraints()
    assert "--line-matches" in (it.applied[-1].note or "")
