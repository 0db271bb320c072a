"""The race beside the text: which lanes are written, and when all of them start again."""

from __future__ import annotations

from functools import partial

from model_fixtures import TEXT, VOCABULARY, make_snapshot

from corpus import Vocabulary
from model.commands import SetLaneTemperature, StartRace, StopRace
from model.config import Lane, LaneKind
from model.events import LanesWritten, LaneTemperatureApplied, RaceStarted, RaceStopped
from model.network.published import PublishedWeights
from model.ngram.ngram_model import NgramModel
from model.ngram.ngram_stepper import NgramStepper
from model.sampling.race import LaneModel
from model.session.race_runner import KEPT_EPOCHS, LaneSource, RaceEvent, RaceRunner

KINDS: tuple[LaneKind, ...] = ("order 0", "order 2", "live", "best", "epoch")
LADDER = StartRace(lanes=tuple(Lane(model=kind, temperature=0.7) for kind in KINDS), seed=5)


class Runner(RaceRunner):
    """A runner whose events a test reads."""

    def __init__(self) -> None:
        self.said: list[RaceEvent] = []
        super().__init__(self.said.append, lambda vocabulary: TEXT[:4])

    def wish(self, command: StartRace | SetLaneTemperature | StopRace = LADDER) -> None:
        self.obey(command, lambda: 9)

    def written(self, count: int = 30) -> list[str]:
        """Lets the race go on; returns what each lane wrote meanwhile."""
        self.said.clear()
        for _ in range(count):
            self.step()
        steps = [event.characters for event in self.said if isinstance(event, LanesWritten)]
        return ["".join(lane) for lane in zip(*steps, strict=True)]

    @property
    def starts(self) -> list[RaceStarted]:
        return [event for event in self.said if isinstance(event, RaceStarted)]


def live(seed: int = 0, vocabulary: Vocabulary = VOCABULARY) -> LaneSource:
    weights = PublishedWeights(snapshot=make_snapshot(seed=seed), vocabulary=vocabulary)
    return LaneSource.of_weights(weights)


def best(seed: int = 0) -> LaneSource:
    return LaneSource.of_weights(
        PublishedWeights(
            snapshot=make_snapshot(seed=seed),
            vocabulary=VOCABULARY,
            kept_as="best",
            nats_per_character=1.0,
        )
    )


def epoch(number: int, seed: int = 0) -> LaneSource:
    return LaneSource.of_weights(
        PublishedWeights(
            snapshot=make_snapshot(seed=seed), vocabulary=VOCABULARY, kept_as="epoch", epoch=number
        )
    )


def ngrams(kind: LaneKind, order: int, vocabulary: Vocabulary = VOCABULARY) -> LaneSource:
    model = NgramModel.build(VOCABULARY.encode(TEXT), len(VOCABULARY), order)
    return LaneSource(
        kind=kind,
        model=LaneModel(make_stepper=partial(NgramStepper, model)),
        vocabulary=vocabulary,
        bits_per_character=3.0,
    )


def test_a_race_waits_for_live_weights_and_names_the_lanes_without_a_model() -> None:
    runner = Runner()
    runner.wish()
    runner.offer(ngrams("order 0", 0))
    assert runner.said == []
    runner.offer(live())
    (start,) = runner.starts
    assert [lane.is_written for lane in start.lanes] == [True, False, True, False, False]
    assert [lane.lane for lane in start.lanes] == list(LADDER.lanes)
    assert (start.lanes[0].bits_per_character, start.seed, start.prompt) == (3.0, 5, TEXT[:4])
    assert [len(text) for text in runner.written(7)] == [7, 0, 7, 0, 0]


def test_a_model_that_was_missing_starts_all_lanes_again_with_the_same_numbers() -> None:
    runner = Runner()
    runner.offer(live())
    runner.wish()
    before = runner.written()
    runner.offer(ngrams("order 0", 0), ngrams("order 2", 2), best(), epoch(3))
    (start,) = runner.starts
    assert all(lane.is_written for lane in start.lanes)
    assert start.lanes[4].epoch == 3
    counted, more, now, kept, third = runner.written()
    assert now == before[2], "the live lane writes its text again"
    assert kept == third == now, "these are the same weights at the same temperature"
    assert len({counted, more, now}) == 3


def test_newer_weights_go_on_with_the_text_of_their_lane() -> None:
    runner, same = Runner(), Runner()
    for each in (runner, same):
        each.offer(live(), best())
        each.wish()
        each.written(10)
    runner.offer(live(seed=4), best(seed=5))
    assert runner.starts == []
    assert runner.written() != same.written()
    runner.offer(epoch(1), epoch(2))
    assert len(runner.starts) == 1, "the first epoch begins with the others"
    runner.offer(epoch(3))
    assert len(runner.starts) == 1, "a later one waits until it is chosen"


def test_the_lane_of_an_epoch_takes_the_nearest_that_is_kept() -> None:
    runner = Runner()
    runner.offer(live(), *(epoch(number) for number in range(1, 40)))
    found = []
    for number in (None, 1, 20, 99):
        runner.wish(StartRace(lanes=LADDER.lanes, epoch=number))
        found.append(runner.starts[-1].lanes[4].epoch)
    assert (found[0], found[1], found[3]) == (1, 1, 39)
    assert found[2] in range(5, 39), "epochs between the first and the newest are kept"
    assert len(runner._epochs) == KEPT_EPOCHS


def test_models_of_another_vocabulary_write_no_lane() -> None:
    other = Vocabulary.from_symbols("".join(VOCABULARY.symbols[:-1]) + "\N{SNOWMAN}")
    runner = Runner()
    runner.offer(live(), ngrams("order 2", 2, other))
    runner.wish()
    assert [lane.is_written for lane in runner.starts[0].lanes].count(True) == 1


def test_a_temperature_stays_with_its_lane_when_the_race_starts_again() -> None:
    runner = Runner()
    runner.offer(live())
    runner.wish()
    runner.wish(SetLaneTemperature(lane=2, temperature=0.1))
    assert runner.said[-1] == LaneTemperatureApplied(lane=2, temperature=0.1)
    runner.wish(SetLaneTemperature(lane=5, temperature=0.1))
    runner.offer(best())
    temperatures = [started.lane.temperature for started in runner.starts[-1].lanes]
    assert temperatures == [0.7, 0.7, 0.1, 0.7, 0.7]


def test_a_race_that_was_stopped_stays_stopped() -> None:
    runner = Runner()
    runner.offer(live())
    runner.wish()
    runner.wish(StopRace())
    assert runner.said[-1] == RaceStopped()
    runner.offer(live(), best(), ngrams("order 0", 0))
    assert runner.written(3) == []
    assert runner.said == []
