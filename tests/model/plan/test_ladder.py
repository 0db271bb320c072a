"""The plan: what it chooses at the borders of its table, and what it leaves to the user."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config import (
    NETWORKS,
    ModelConfig,
    NetworkKind,
    TrainingConfig,
    units_of_equal_cost,
)
from model.plan.ladder import (
    DOUBLED_BATCH_FACTOR,
    DOUBLED_BATCH_RATE,
    DOUBLED_BATCH_STEPS,
    FULL_DROPOUT_PASSES,
    LADDER,
    MAX_PREDICTIONS,
    MAX_SQUARE,
    MIN_STEPS,
    MIN_TAUGHT_CHARACTERS,
    PASSES_OF_SMALL_TEXT,
    TABLE_STEP,
    TAUGHT_PASSES,
    TEACHER_PASSES,
    TEACHING_FROM,
    Plan,
    Rung,
    nearest_rung,
    plan_for,
)
from model.plan.machine_speed import MachineSpeed
from model.presets import DEFAULT_MINUTES, PRESETS

MILLION = 1_000_000
OPEN = TrainingConfig(epochs=None, minutes=DEFAULT_MINUTES)


def plan(
    rate: float = 100_000.0,
    *,
    characters: int = MILLION,
    minutes: float = DEFAULT_MINUTES,
    symbols: int = 65,
    chosen: frozenset[str] = frozenset(),
    network: NetworkKind = "lstm",
    **settings: Any,
) -> Plan:
    """Returns the plan of a machine that trains every size at one rate."""
    speed = MachineSpeed({128: rate, 1024: rate}, network=network)
    training = TrainingConfig(epochs=None, minutes=minutes, **settings)
    model = ModelConfig(network=network)
    return plan_for(
        speed,
        characters=characters,
        symbols=symbols,
        model=model,
        training=training,
        chosen=chosen,
    )


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("rung", LADDER, ids=lambda rung: f"LSTM({rung.hidden})")
def test_a_size_is_chosen_from_its_number_of_steps_on(rung: Rung, network: NetworkKind) -> None:
    place = LADDER.index(rung)
    steps = NETWORKS[network].steps_scale * rung.min_steps
    least = steps * TABLE_STEP / 60  # characters a second, in a minute
    text = 2 * MILLION if place > 3 else MILLION // 2  # read to the end, not often enough to teach
    rate = max(1.000001 * least, 1.0)
    here = plan(rate, characters=text, minutes=1, network=network)
    assert here.model.hidden == units_of_equal_cost(network, rung.hidden)
    if place:
        below = plan(0.999 * least, characters=text, minutes=1, network=network)
        assert below.model.hidden == units_of_equal_cost(network, LADDER[place - 1].hidden)


@pytest.mark.parametrize(
    ("network", "chosen", "expected"),
    [("lstm", [], "rms-lstm"), ("lstm", ["network"], "lstm"), ("gru", ["network"], "gru")],
)
def test_the_machines_network_is_taken_unless_one_was_chosen(
    network: NetworkKind, chosen: list[str], expected: NetworkKind
) -> None:
    speed = MachineSpeed({128: 100_000.0, 1024: 100_000.0}, network="rms-lstm")
    model, training = ModelConfig(network=network), OPEN
    made = plan_for(
        speed,
        symbols=65,
        characters=MILLION,
        model=model,
        training=training,
        chosen=frozenset(chosen),
    )
    assert made.model.network == expected
    assert made.speed == pytest.approx(100_000)
    assert made.sentence.startswith(made.model.title)


def test_normalised_gates_decay_more_where_a_text_is_read_more_often() -> None:
    def decay(network: NetworkKind, passes: float) -> float:
        # Long sequences make few steps.
        rate, chosen = passes * MILLION / 60, frozenset(["network"])
        made = plan(rate, minutes=1, network=network, chosen=chosen, sequence=512)
        return made.training.weight_decay

    traits = NETWORKS["rms-lstm"]
    for passes in (14.0, 20.0, 25.0):
        ratio = decay("rms-lstm", passes) / decay("lstm", passes)
        grown = traits.decay_growth * passes / FULL_DROPOUT_PASSES
        assert ratio == pytest.approx(grown, rel=0.01)
    most = traits.max_decay * decay("lstm", 60.0)
    assert decay("rms-lstm", 60.0) == pytest.approx(most, rel=0.01)
    # Up to twelve passes both grow alike.
    assert decay("rms-lstm", 10.0) / decay("rms-lstm", 5.0) == pytest.approx(2, rel=0.02)
    assert decay("rms-lstm", 10.0) > decay("lstm", 10.0)


def test_normalised_gates_have_a_part_of_the_dropouts_and_another_rate() -> None:
    traits, chosen = NETWORKS["rms-lstm"], frozenset(["network", "teacher_share"])
    for rung in LADDER[2:4]:
        rate = 1.001 * rung.min_steps * TABLE_STEP / 60
        lstm, other = (
            plan(rate, minutes=1, characters=MILLION // 2, network=network, chosen=chosen)
            for network in ("lstm", "rms-lstm")
        )
        assert other.model.hidden == lstm.model.hidden == rung.hidden
        dropouts = [
            (made.model.dropout, made.training.embedding_dropout, made.training.weight_dropout)
            for made in (lstm, other)
        ]
        for more, less in zip(*dropouts, strict=True):
            assert 0 < less < more
            assert less == pytest.approx(traits.dropout_scale * more, abs=0.002)
    short = plan(minutes=0.1, network="rms-lstm", chosen=chosen)
    assert short.training.learning_rate == traits.max_learning_rate
    assert traits.learning_rate(LADDER[0].learning_rate) == traits.max_learning_rate


def test_small_networks_with_normalised_gates_decay_as_well() -> None:
    traits, chosen = NETWORKS["rms-lstm"], frozenset(["network"])
    few = plan(4 * MILLION / 60, minutes=1, network="rms-lstm", chosen=chosen)
    assert few.model.hidden == LADDER[1].hidden
    share = traits.decay_growth * 4 / FULL_DROPOUT_PASSES
    expected = share * traits.min_full_decay
    assert expected > share * LADDER[1].weight_decay
    assert few.training.weight_decay == pytest.approx(expected, abs=0.0006)


def test_a_long_training_of_normalised_gates_has_a_lower_rate_and_decay() -> None:
    chosen, least = frozenset(["network", "teacher_share"]), NETWORKS["rms-lstm"].fitted_steps
    for passes in (12.0, 60.0):
        for network in ("lstm", "rms-lstm"):
            few, many = (
                plan(
                    passes * MILLION / 60,
                    minutes=1,
                    network=network,
                    chosen=chosen,
                    sequence=sequence,
                ).training
                for sequence in (512, 64)
            )
            steps = passes * MILLION / TABLE_STEP
            factor = min(1.0, least / steps) ** 0.5 if network == "rms-lstm" else 1.0
            assert many.learning_rate == pytest.approx(factor * few.learning_rate, rel=0.01)
            assert many.weight_decay == pytest.approx(factor * few.weight_decay, rel=0.01)
    assert factor < 0.5, "the last one is a long training"


@pytest.mark.parametrize(
    ("network", "characters", "most"),
    [
        ("lstm", 10_000, 25),
        ("lstm", 20_000, 25),
        ("lstm", 320_000, 100),
        ("rms-lstm", 20_000, 25),
        ("rms-lstm", 320_000, 50),
    ],
)
def test_a_plan_ends_before_a_text_is_learned_by_heart(
    network: NetworkKind, characters: int, most: int
) -> None:
    for passes, epochs in ((0.99 * most, None), (1.01 * most, most)):
        made = plan(
            passes * characters / 60,
            minutes=1,
            characters=characters,
            network=network,
            chosen=frozenset(["network", "teacher_share"]),
        )
        assert (made.training.minutes, made.training.epochs) == (1, epochs)
        assert made.passes == pytest.approx(epochs or passes)


def test_a_teacher_and_a_student_share_a_time_in_which_one_would_learn_the_text_by_heart() -> None:
    traits = NETWORKS["rms-lstm"]
    most = PASSES_OF_SMALL_TEXT * 2  # of a text 16 times as long
    for passes, share, end in (
        (0.999 * TEACHING_FROM * most, 0.0, None),
        (1.001 * TEACHING_FROM * most, traits.teacher_share, None),
        (0.999 * TEACHER_PASSES / traits.teacher_share * most, traits.teacher_share, None),
        (2.2 * most, TEACHER_PASSES / 2.2, None),
        (0.999 * TAUGHT_PASSES * most, TEACHER_PASSES / TAUGHT_PASSES, None),
        (5.0 * TAUGHT_PASSES * most, TEACHER_PASSES / TAUGHT_PASSES, TAUGHT_PASSES * most),
    ):
        made = plan(passes * 320_000 / 60, characters=320_000, minutes=1, network="rms-lstm")
        assert made.training.teacher_share == pytest.approx(share, abs=0.0006)
        assert made.training.epochs == end
        assert made.sentence.endswith(", a teacher and a student") == (share > 0)


def test_a_teacher_is_left_out_where_it_does_not_suit() -> None:
    often = 80 * MILLION / 60
    assert plan(often, minutes=1, network="rms-lstm").training.teacher_share > 0
    assert plan(often, minutes=1, network="lstm").training.teacher_share == 0
    chosen = frozenset(["teacher_share"])
    for share in (0.0, 0.2):
        made = plan(often, minutes=1, network="rms-lstm", chosen=chosen, teacher_share=share)
        assert made.training.teacher_share == share
    many = plan(often, minutes=1, network="rms-lstm", symbols=MAX_PREDICTIONS // MILLION + 1)
    assert many.training.teacher_share == 0
    for characters, teaches in ((MIN_TAUGHT_CHARACTERS, True), (MIN_TAUGHT_CHARACTERS - 1, False)):
        made = plan(often, characters=characters, minutes=1, network="rms-lstm")
        assert (made.training.teacher_share > 0) == teaches


def test_a_student_has_the_dropouts_of_a_text_that_is_read_less_often() -> None:
    """Its teacher's predictions keep it from learning the text by heart."""
    often, chosen = 80 * MILLION / 2 / 60, frozenset(["network", "teacher_share"])
    characters = MILLION // 2
    student = plan(often, characters=characters, minutes=1, network="rms-lstm")
    alone = plan(often, characters=characters, minutes=1, network="rms-lstm", chosen=chosen)
    rung, scale = LADDER[3], NETWORKS["rms-lstm"].dropout_scale
    assert (student.model.hidden, student.training.teacher_share > 0) == (rung.hidden, True)
    assert student.model.dropout == pytest.approx(scale * rung.dropout, abs=0.001)
    assert alone.model.dropout > student.model.dropout
    longer = plan(2 * often, characters=characters, minutes=1, network="rms-lstm")
    assert longer.training.teacher_share > 0
    assert longer.model.dropout > student.model.dropout
    assert longer.training.learning_rate < student.training.learning_rate


def test_more_time_gives_a_student_more_passes_and_no_larger_teacher() -> None:
    """A larger one would know the text by heart."""
    plans = [
        plan(passes * MILLION / 2 / 60, characters=MILLION // 2, minutes=1, network="rms-lstm")
        for passes in (80, 1_000)
    ]
    assert [made.model.hidden for made in plans] == [LADDER[3].hidden] * 2
    fewer, more = (made.passes or 0 for made in plans)
    assert more > 1.9 * fewer


@given(
    characters=st.integers(MIN_TAUGHT_CHARACTERS, 5 * MILLION),
    passes=st.floats(0.5, 200),
    more=st.floats(1, 3),
)
def test_more_time_never_gives_a_smaller_network(
    characters: int, passes: float, more: float
) -> None:
    """A teacher takes time from its student, which may then not have the steps of its size."""
    rate = passes * characters / 60
    sizes = [
        plan(rate, characters=characters, minutes=minutes, network="rms-lstm").model.hidden
        for minutes in (1, more)
    ]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("characters", [100, 1_000, 3_000])
def test_a_short_text_is_read_until_there_were_enough_steps_and_by_a_small_network(
    characters: int,
) -> None:
    for minutes in (1.0, 600.0):
        made = plan(characters=characters, minutes=minutes)
        step = min(characters, made.training.batch * made.training.sequence)
        assert made.training.epochs == pytest.approx(MIN_STEPS * step / characters, abs=1)
        assert made.model.hidden**2 <= max(LADDER[0].hidden ** 2, MAX_SQUARE * characters)


def test_each_network_has_its_chance_of_a_cold_start() -> None:
    for network in ("lstm", "rms-lstm"):
        made = plan(network=network, chosen=frozenset(["network"]))
        assert made.training.reset_probability == NETWORKS[network].reset_probability


def test_a_text_that_is_not_read_to_its_end_gets_a_smaller_network() -> None:
    rung = LADDER[2]
    characters = 2 * rung.min_steps * TABLE_STEP
    for steps, expected in ((1.9, LADDER[1]), (2.001, rung)):
        rate = steps * rung.min_steps * TABLE_STEP / 60
        unread = plan(rate, minutes=1, characters=100 * characters)
        assert unread.model.hidden == expected.hidden
    assert plan(1.001 * rung.min_steps * TABLE_STEP / 60, minutes=1).model.hidden == rung.hidden


def test_the_ladder_rises() -> None:
    for lower, upper in pairwise(LADDER):
        assert lower.hidden < upper.hidden
        assert lower.min_steps < upper.min_steps
        assert lower.learning_rate >= upper.learning_rate
        assert lower.weight_dropout <= upper.weight_dropout
    assert LADDER[0].min_steps == 0, "there is a plan for every machine"


@given(
    st.floats(1, 1e8),
    st.integers(1, 10**9),
    st.floats(0.001, 10_000),
    st.integers(1, 4),
)
def test_there_is_a_plan_for_every_machine_text_and_time(
    rate: float, characters: int, minutes: float, layers: int
) -> None:
    speed = MachineSpeed({128: rate, 512: rate / 10})
    training = TrainingConfig(epochs=None, minutes=minutes)
    made = plan_for(
        speed,
        symbols=65,
        characters=characters,
        model=ModelConfig(layers=layers),
        training=training,
    )
    more = plan_for(
        MachineSpeed({128: 2 * rate, 512: rate / 5}),
        characters=characters,
        symbols=65,
        model=ModelConfig(layers=layers),
        training=training,
    )
    assert made.model.hidden <= more.model.hidden, "a faster machine never gets a smaller network"
    assert made.training.minutes == minutes
    assert made.model.layers == layers
    assert made.passes is not None
    assert made.passes > 0
    assert 0 <= made.training.weight_dropout <= 1


def test_without_a_time_it_is_for_five_minutes() -> None:
    training = PRESETS["auto"].training
    assert (training.minutes, training.epochs) == (5, None)
    made = plan()
    assert made.passes == pytest.approx(30)
    assert made.sentence == f"LSTM({made.model.hidden}), 5 min, about 30 passes"


def test_epochs_alone_are_the_plans_length() -> None:
    speed = MachineSpeed({128: 100_000.0})
    made = plan_for(
        speed,
        symbols=65,
        characters=MILLION,
        model=ModelConfig(),
        training=TrainingConfig(epochs=7),
    )
    assert (made.training.epochs, made.training.minutes, made.passes) == (7, None, 7.0)
    assert made.sentence == f"LSTM({made.model.hidden}), 7 passes"


def doubled(factor: float, steps: float, **settings: Any) -> Plan:
    """Returns the plan where twice the streams are faster by a factor, for some usual steps."""
    rate = 1.000001 * steps * TABLE_STEP / 300
    options = {"characters": MILLION, "chosen": frozenset(), **settings}
    training = TrainingConfig(epochs=options.pop("epochs", None), minutes=5)
    speed = MachineSpeed({128: rate, 1024: rate}, factor)
    return plan_for(speed, symbols=65, model=ModelConfig(), training=training, **options)


def test_where_more_streams_cost_little_a_batch_is_twice_as_large() -> None:
    usual = doubled(0.999 * DOUBLED_BATCH_FACTOR, DOUBLED_BATCH_STEPS)
    larger = doubled(DOUBLED_BATCH_FACTOR, DOUBLED_BATCH_STEPS)
    assert larger.model.hidden == usual.model.hidden
    assert (usual.training.batch, larger.training.batch) == (32, 64)
    assert larger.training.learning_rate == pytest.approx(
        DOUBLED_BATCH_RATE * usual.training.learning_rate
    )
    assert usual.speed is not None
    assert larger.speed == pytest.approx(DOUBLED_BATCH_FACTOR * usual.speed)
    assert usual.passes is not None
    assert larger.passes == pytest.approx(DOUBLED_BATCH_FACTOR * usual.passes)


@pytest.mark.parametrize(
    ("steps", "settings", "batch"),
    [
        (0.999 * DOUBLED_BATCH_STEPS, {}, 32),
        (DOUBLED_BATCH_STEPS, {"epochs": 7}, 32),
        (DOUBLED_BATCH_STEPS, {"characters": 299_999}, 16),
        (DOUBLED_BATCH_STEPS, {"chosen": frozenset({"batch"})}, TrainingConfig().batch),
    ],
    ids=["few steps", "by passes", "a short text", "chosen"],
)
def test_a_batch_stays_the_usual_one(steps: float, settings: dict[str, Any], batch: int) -> None:
    made = doubled(2.0, steps, **settings)
    assert made.training.batch == batch
    assert made.training.learning_rate == nearest_rung(made.model.hidden).learning_rate


def test_a_text_that_is_read_once_needs_no_dropout() -> None:
    once, often = plan(characters=100 * MILLION), plan(characters=MILLION)
    assert once.model.hidden == often.model.hidden
    assert once.passes is not None
    assert often.passes is not None
    assert once.passes < 1
    assert often.passes > FULL_DROPOUT_PASSES
    rung = nearest_rung(often.model.hidden)
    assert often.training.weight_dropout == rung.weight_dropout > 0
    assert once.training.weight_dropout < 0.1 * rung.weight_dropout
    assert once.model.dropout < 0.1 * often.model.dropout


@pytest.mark.parametrize(
    ("characters", "passes", "dropouts"),
    [
        (MILLION, 61, (0.3, 0.05, 0.15)),  # 60 passes of tinyshakespeare: more ends no lower
        (MILLION, 16 * 61, (0.5, 0.1, 0.3)),
        (20_000, 25, (0.5, 0.1, 0.318)),
    ],
)
def test_a_text_that_is_read_often_gets_more_dropout(
    characters: int, passes: int, dropouts: tuple[float, float, float]
) -> None:
    made = plan_for(
        None,
        characters=characters,
        symbols=65,
        model=ModelConfig(hidden=512),
        training=TrainingConfig(epochs=passes, minutes=None),
        chosen=frozenset({"hidden"}),
    )
    training = made.training
    found = (made.model.dropout, training.embedding_dropout, training.weight_dropout)
    assert found == pytest.approx(dropouts, abs=2e-3)


def test_what_the_user_chose_stays() -> None:
    made = plan(
        learning_rate=0.5,
        weight_dropout=0.4,
        chosen=frozenset({"learning_rate", "weight_dropout"}),
    )
    assert (made.training.learning_rate, made.training.weight_dropout) == (0.5, 0.4)
    assert made.training.weight_decay == nearest_rung(made.model.hidden).weight_decay
    assert made.training.batch == OPEN.batch


def test_a_size_of_the_users_gets_the_settings_of_the_nearest() -> None:
    made = plan_for(
        None,
        characters=MILLION,
        symbols=65,
        model=ModelConfig(hidden=600),
        training=OPEN,
        chosen=frozenset({"hidden"}),
    )
    assert made.model.hidden == 600
    assert made.training.learning_rate == nearest_rung(600).learning_rate
    assert made.sentence == "LSTM(600), 5 min"
    assert [nearest_rung(size).hidden for size in (1, 180, 182, 5000)] == [128, 128, 256, 1024]
