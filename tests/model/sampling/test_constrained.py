"""Texts that obey constraints: exact masks in every way of writing, and drafted lines."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing, contextmanager

import numpy as np
import pytest
from model_fixtures import VOCABULARY, constant_snapshot, make_snapshot
from two_authors import FIRST_SYMBOLS, SECOND_SYMBOLS, weights_of

from corpus import Vocabulary
from model.config import SamplingConfig
from model.constraint_config import DRAFTS, Constraints
from model.constraints.letters import allowed_symbols
from model.events import LineDrafted
from model.kernels.splitmix import BLOCK
from model.network.published import PublishedWeights
from model.sampling.distribution import choose, mask_bits, masked
from model.sampling.sampler import Sampler
from model.sampling.stream import CharacterStream
from model.steppers.mixture import mixture

LINES = Constraints(line_length=(3, 9))


def weights(window: int | None = None) -> PublishedWeights:
    """Random weights that end a line about once in nine characters."""
    return PublishedWeights(snapshot=make_snapshot(3), vocabulary=VOCABULARY, window=window)


@contextmanager
def writing(
    constraints: Constraints,
    published: PublishedWeights | None = None,
    sampling: SamplingConfig | None = None,
) -> Iterator[CharacterStream]:
    published = published or weights()
    stream = CharacterStream(
        published.snapshot,
        published.vocabulary,
        sampling=sampling or SamplingConfig(),
        seed=5,
        window=published.window,
        candidates=0,
    )
    with closing(stream):
        stream.constrain(constraints)
        yield stream


def write(stream: CharacterStream, count: int) -> tuple[str, list[LineDrafted]]:
    text, drafted = "", []
    for _ in range(count):
        text += stream.step().character
        drafts = stream.take_drafted()
        if drafts is not None:
            drafted.append(drafts)
    return text, drafted


def test_a_mask_comes_before_temperature_and_truncation_and_its_cost_is_exact() -> None:
    logits = np.log(np.array([0.7, 0.2, 0.1], np.float32))
    allowed = np.array([False, True, True])
    assert float(mask_bits(logits, allowed)) == pytest.approx(-math.log2(0.3), abs=1e-6)
    noise = np.zeros(3)
    for sampling in (SamplingConfig(temperature=0), SamplingConfig(top_k=1), SamplingConfig()):
        assert choose(masked(logits, allowed), sampling, noise) == 1


@pytest.mark.parametrize(
    "sampling",
    [SamplingConfig(temperature=0.9), SamplingConfig(top_p=0.8), SamplingConfig(temperature=0)],
    ids=["plain", "truncated", "greedy"],
)
def test_no_way_of_writing_writes_a_forbidden_letter(sampling: SamplingConfig) -> None:
    allowed = allowed_symbols(Constraints(forbid="ta"), VOCABULARY)
    assert allowed is not None
    texts, costs = [], []
    for seeds, numpy_characters in ((range(3), 4 * BLOCK), (range(3), 0), ([1], 4 * BLOCK)):
        sampler = Sampler(
            make_snapshot(3),
            VOCABULARY,
            sampling=sampling,
            seeds=seeds,
            allowed=allowed,
            numpy_characters=numpy_characters,
        )
        with closing(sampler):
            ids = np.concatenate([sampler.write(64)[0] for _ in range(5)])
        assert set(VOCABULARY.decode(ids.ravel())).isdisjoint("taTA")
        texts.append(ids)
        costs.append(sampler.mask_bits / len(ids))
    assert (costs[0] > 0.05).all()
    assert costs[1] == pytest.approx(costs[0], rel=0.4)
    common = min(map(len, texts))
    assert (texts[2][:common, 0] == texts[0][:common, 1]).all(), "beside others as alone"


def test_the_stream_reports_the_cost_and_the_unmasked_probability() -> None:
    snapshot = constant_snapshot(np.log([0.25, 0.5, 0.25]))
    published = PublishedWeights(snapshot=snapshot, vocabulary=Vocabulary.from_symbols("abc"))
    with writing(Constraints(forbid="b"), published) as stream:
        written = stream.step()
        assert written.probability == pytest.approx(0.25)
        assert written.mask_bits == pytest.approx(1.0)
        assert {each.character for each in stream.describe_next().candidates if each.adjusted} == {
            "a",
            "c",
        }


def test_constraints_that_forbid_nothing_change_no_character() -> None:
    with writing(Constraints()) as free, writing(Constraints(forbid="#")) as masked_stream:
        assert write(free, 300) == write(masked_stream, 300)


@pytest.mark.parametrize("kind", ["carried", "window", "two authors"])
def test_lines_that_were_kept_fit_and_a_failure_is_said(kind: str) -> None:
    published = weights(window=4 if kind == "window" else None)
    if kind == "two authors":
        second = weights_of(SECOND_SYMBOLS, 2, window=3)
        published = mixture(weights_of(FIRST_SYMBOLS, 1), second, 0.5)
    with writing(LINES, published) as stream:
        text, drafted = write(stream, 150)
    lines = text.split("\n")[:-1]
    assert len(drafted) in {len(lines), len(lines) + 1}
    assert any(each.kept for each in drafted)
    for line, each in zip(lines, drafted, strict=False):
        assert each.drafts == DRAFTS
        if each.kept:
            assert 3 <= len(line) <= 9
            assert each.cost is not None
            assert each.cost >= 0


def test_where_no_draft_fits_the_line_goes_on_as_without_rules() -> None:
    with writing(Constraints(line_matches="[0-9]")) as stream, writing(Constraints()) as free:
        text, drafted = write(stream, 60)
        assert text == write(free, 60)[0]
    assert {(each.kept, each.cost) for each in drafted} == {(0, None)}
    assert len(drafted) == text.count("\n") + 1 - text.endswith("\n")


def test_a_text_depends_on_its_seed_alone_and_a_random_draft_costs_nothing_on_average() -> None:
    with writing(LINES) as stream, writing(LINES) as again:
        assert write(stream, 100) == write(again, 100)
    with writing(Constraints(line_length=(3, 9), line_choice="random")) as stream:
        assert write(stream, 100)[0] != write(again, 100)[0]


def test_a_temperature_holds_for_the_very_next_character_of_a_drafted_line() -> None:
    with writing(Constraints(line_length=(9, 60))) as stream:
        write(stream, 4)
        stream.sampling = SamplingConfig(temperature=0)
        _, drafted = write(stream, 1)
        assert [each.kept in {0, DRAFTS} for each in drafted] == [True], "greedy: all are alike"


def test_new_weights_write_from_the_next_line_on_and_a_changed_rule_judges_the_whole_line() -> None:
    with writing(Constraints(line_length=(6, 30))) as stream:
        write(stream, 3)
        stream.snapshot = make_snapshot(4)
        assert write(stream, 1)[1] == []
        before = stream._line_so_far()
        stream.constrain(Constraints(line_length=(12, 14)))
        text, (first, *_) = write(stream, 20)
        assert first.kept
        assert 12 <= len(before + text.split("\n")[0]) <= 14


def test_an_initial_that_no_draft_has_is_drafted_again_from_that_letter() -> None:
    logits = np.log([0.1, 0.4999, 0.4, 0.0001])
    published = PublishedWeights(
        snapshot=constant_snapshot(logits), vocabulary=Vocabulary.from_symbols("\nabz")
    )
    with writing(Constraints(acrostic="z"), published) as stream:
        text, drafted = write(stream, 40)
    assert text.startswith("z")
    assert initials_of(text) == ["z"] * len(initials_of(text))
    assert {each.drafts for each in drafted} == {2 * DRAFTS}
    assert all(each.cost is not None and each.cost > 0 for each in drafted)


def initials_of(text: str) -> list[str]:
    """Returns the first letter of each line that has one."""
    letters = (next(filter(str.isalpha, line), "") for line in text.split("\n"))
    return [letter for letter in letters if letter]


def test_a_fork_and_the_way_back_keep_the_rules_and_the_place_in_the_poem() -> None:
    acrostic = Constraints(acrostic="ts")
    with writing(acrostic) as stream:
        text, drafted = write(stream, 80)
        initials = initials_of(text)
        assert all(each.kept for each in drafted)
        assert initials == ["t", "s"] * (len(initials) // 2) + ["t"] * (len(initials) % 2)
        back = len(text) - text.index("\n") - 1
        assert stream.fork(back, "s")
        forked = text[: len(text) - back] + "s" + write(stream, 60)[0]
        assert initials_of(forked)[:3] == ["t", "s", "t"]
        taken = stream.return_to_trunk()
        assert taken == (61, text[len(text) - back :])
        whole = initials_of(text + write(stream, 60)[0])
        assert whole == ["t", "s"] * (len(whole) // 2) + ["t"] * (len(whole) % 2)


def test_lines_that_do_not_rhyme_keep_all_other_rules() -> None:
    pytest.importorskip("pronouncing")
    constraints = Constraints(rhyme="AAAAAA", line_length=(4, 9))
    with writing(constraints) as stream:
        text, drafted = write(stream, 300)
    lines = text.split("\n")[:-1]
    assert any(drafts.lacks_rhyme for drafts in drafted)
    fell_back = [drafts for drafts in drafted if drafts.lacks_rhyme]
    assert all(drafts.kept == 0 and drafts.cost is not None for drafts in fell_back)
    free = sum(drafts.cost is None for drafts in drafted)
    assert sum(not 4 <= len(line) <= 9 for line in lines) <= free
