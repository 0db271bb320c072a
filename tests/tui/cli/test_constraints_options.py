"""Constraints on the command line and in the settings file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_here import Outcome, charlm_here
from two_authors import write_authors

from model.constraint_config import Constraints
from model.events import LineDrafted
from tui.cli.constraint_figures import figures_of
from tui.cli.generation import WrittenText

FITTED = {3: 0.2, 0: 0.4}
"""Drafts that fit, and the cost of the taken one: with none, it lacks a rhyme."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_authors(tmp_path / "runs")
    return tmp_path


def generate(home: Path, *arguments: str | Path) -> Outcome:
    named = ("generate", "--run=one", "--seed=3", "--length=150", *arguments)
    return charlm_here(home, *named, environment={"CHARLM_CONFIG": str(home / "config.toml")})


def test_a_lipogram_says_its_cost_and_texts_side_by_side_are_those_alone(home: Path) -> None:
    one = generate(home, "--forbid=e")
    assert one.status == 0
    assert "e" not in one.output
    assert ", no e +" in one.complaint
    both = generate(home, "--forbid=e", "--streams=2")
    assert both.output.startswith(one.output)


def test_lines_are_drafted_for_each_seed_alone_and_json_has_their_figures(home: Path) -> None:
    rules = ("--line-length=2-12", "--acrostic=ab", "--allow=abd")
    texts = [
        json.loads(line)
        for line in generate(home, "--json", *rules, "--streams=2").output.splitlines()
    ]
    alone = json.loads(generate(home, "--json", *rules, "--seed=4").output)
    assert texts[1]["text"] == alone["text"]
    assert set("".join(text["text"] for text in texts)) <= set("\n abd(")
    assert alone["constraints"]["acrostic"] == "ab"
    lines = alone["text"].split("\n")[:-1]
    for line, drafted in zip(lines, alone["lines"], strict=False):
        assert not drafted["kept"] or 2 <= len(line) <= 12
    assert alone["mask_bits"] > 0
    shorter = json.loads(generate(home, "--json", *rules, "--seed=4", "--length=40").output)
    assert alone["text"].startswith(shorter["text"])
    free = json.loads(generate(home, "--json").output)
    assert free.keys() == alone.keys() - {"constraints", "mask_bits", "lines"}


def test_a_line_that_does_not_rhyme_does_not_count_as_one_that_fits() -> None:
    drafted = [LineDrafted(kept=kept, drafts=64, cost=cost) for kept, cost in FITTED.items()]
    written = WrittenText(text="", seconds=0.0, bits_per_character=None, drafted=drafted)
    assert [drafts.lacks_rhyme for drafts in drafted] == [False, True]
    words = figures_of(Constraints(rhyme="AA"), written)
    assert words == ["1 of 2 lines fit", "kept 3 of 128 drafts, cost +0.30 bits"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--forbid", "\n abcde("), "--forbid: leaves the model no character"),
        (("--line-matches", "("), "--line-matches: '(' is no regular expression"),
        (("--line-length", "40-32"), "--line-length: '40-32' is no range"),
        (("--acrostic=a", "--device=cuda"), "--device: lines are drafted on the CPU"),
        (("--syllables=3", "--verse-language=xx"), "--verse-language: 'xx' is not known"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_in_one_line(
    home: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = generate(home, *arguments)
    assert done.status == 2
    assert done.output == ""
    assert words in done.complaint
    assert done.complaint.count("\n") == 1


def test_the_settings_file_has_constraints_and_refuses_a_number(home: Path) -> None:
    (home / "config.toml").write_text('[defaults]\nforbid = "e"\nline-length = "2-40"\n')
    record = json.loads(generate(home, "--json").output)
    assert record["constraints"] == {
        **{name: words for name, words in Constraints().words().items() if words},
        "forbid": "e",
        "line_length": "2-40",
    }
    (home / "config.toml").write_text("[defaults]\nsyllables = 10\n")
    assert "a constraint must be in quotes" in generate(home).complaint
