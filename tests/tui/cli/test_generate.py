"""`charlm-tui generate` as scripts rely on it: text on stdout, figures on stderr, JSON."""

from __future__ import annotations

import re
import signal
import subprocess
import unicodedata
from pathlib import Path

import pytest
from command_here import assert_one_line, charlm_here
from patience import PATIENCE
from terminal_harness import PROGRAM, TINY, make_environment
from trained_home import TEXT, Trained, charlm, objects

pytestmark = pytest.mark.terminal


def test_generate_writes_400_characters_and_figures_elsewhere(trained: Trained) -> None:
    done = charlm(trained.home, "generate")
    assert done.status == 0
    assert len(done.output) == 400 + len("\n")
    assert done.output.endswith("\n")
    assert set(done.output) <= set(TEXT)
    assert re.match(r"tiny step \d+, seed \d+: 400 characters, .* bits per", done.complaint)


def test_generate_writes_the_same_with_the_same_seed_in_any_process(trained: Trained) -> None:
    options = ["generate", "--length", "200", "--seed"]
    first = charlm(trained.home, *options, "5").output
    again, other = (charlm_here(trained.home, *options, seed).output for seed in ("5", "6"))
    assert first == again != other


def test_generate_writes_several_streams_with_seeds_one_apart(trained: Trained) -> None:
    options = ["generate", "--length", "80", "--seed"]
    both = charlm_here(trained.home, *options, "5", "--streams", "2").output
    alone = [charlm_here(trained.home, *options, seed).output for seed in ("5", "6")]
    assert both == "\n".join(alone)


def test_generate_writes_the_prompt_before_each_text_and_a_line_feed_after_it(
    trained: Trained,
) -> None:
    options = ["generate", "--length", "40", "--seed", "5", "--prompt", "the old "]
    records = objects(charlm_here(trained.home, *options, "--streams", "2", "--json").output)
    first, second = (record["text"] for record in records)
    with_prompt = charlm_here(trained.home, *options, "--streams", "2").output
    assert with_prompt == f"the old {first}\n\nthe old {second}\n"
    assert charlm_here(trained.home, *options).output == f"the old {first}\n"
    assert charlm_here(trained.home, *options, "--no-echo").output == f"{first}\n"
    nothing = charlm_here(trained.home, "generate", "--length", "0", "--prompt", "the old")
    assert nothing.output == "the old\n"


def test_generate_ends_before_the_stop_text(trained: Trained) -> None:
    options = ["generate", "--seed", "5", "--length", "400"]
    whole = charlm_here(trained.home, *options).output
    stop = whole[150:154]
    ended = whole.partition(stop)[0] + "\n"
    assert charlm_here(trained.home, *options, "--stop", stop).output == ended
    assert charlm_here(trained.home, *options, "--stop", "nowhere").output == whole


def test_generate_says_that_a_stop_text_never_occurs(trained: Trained) -> None:
    """C19: a text to stop at that holds what the model never writes was passed over in silence."""
    done = charlm_here(trained.home, "generate", "--seed", "5", "--length", "30", "--stop", "É日")
    assert (done.status, len(done.output)) == (0, 30 + len("\n"))
    assert "--stop: the model never writes U+00C9, U+65E5, so nothing stops" in done.complaint


def test_generate_takes_prompt_and_stop_in_either_unicode_form(tmp_path: Path) -> None:
    """C17, C19: a model of decomposed text knows a composed prompt, and the other way round."""
    text = unicodedata.normalize("NFD", "un été à la forêt, où l'été dérive en rêvant. ")
    (tmp_path / "text.txt").write_text(text * 60, encoding="utf-8")
    plan = [*TINY, "--run", "decomposed", "--epochs", "1"]
    assert charlm(tmp_path, "train", "text.txt", "--json", *plan).status == 0
    options = ["generate", "--json", "--seed", "5", "--length", "60", "--prompt", "un été"]
    done = charlm_here(tmp_path, *options, "--stop", "\N{LATIN SMALL LETTER E WITH ACUTE}")
    assert objects(done.output)[0]["prompt"] == unicodedata.normalize("NFD", "un été")
    assert "lacks" not in done.complaint
    assert "--stop" not in done.complaint


def test_generate_of_no_length_writes_nothing(trained: Trained) -> None:
    done = charlm_here(trained.home, "generate", "--length", "0")
    assert (done.status, done.output) == (0, "")


def test_generate_says_what_it_did_in_json(trained: Trained) -> None:
    done = charlm_here(
        trained.home,
        *[
            "generate",
            "--json",
            "--streams",
            "2",
            "--seed",
            "5",
            "--length",
            "60",
            "--temperature",
            "0.5",
            "--top-k",
            "9",
        ],
        *("--top-p", "0.9", "--min-p", "0.01", "--typical", "0.8", "--prompt", "the old "),
    )
    assert (done.status, done.complaint) == (0, "")
    first, second = objects(done.output)
    expected = (
        "run step prompt text temperature top_k top_p min_p typical seed characters seconds "
        "characters_per_second bits_per_character"
    )
    assert set(first) == set(second) == set(expected.split())
    names = ("temperature", "top_k", "top_p", "min_p", "typical", "prompt")
    assert [first[name] for name in names] == [0.5, 9, 0.9, 0.01, 0.8, "the old "]
    assert (first["run"], first["seed"], second["seed"]) == ("tiny", 5, 6)
    assert len(first["text"]) == first["characters"] == 60
    assert first["bits_per_character"] > 0


def test_generate_greedily_needs_no_seed(trained: Trained) -> None:
    options = ["generate", "--temperature", "0", "--length", "60", "--prompt", "the old"]
    assert charlm(trained.home, *options).output == charlm_here(trained.home, *options).output


def test_generate_says_which_characters_of_the_prompt_it_left_out(trained: Trained) -> None:
    done = charlm_here(trained.home, "generate", "--prompt", "日本 the old man\x1b[2J", "--no-echo")
    assert done.status == 0
    assert len(done.output) == 400 + len("\n")
    note, *figures = done.complaint.splitlines()
    assert note.startswith("charlm-tui: ")
    assert "日" in note
    assert "\x1b" not in note
    assert len([line for line in figures if line]) == 1


def test_generate_refuses_a_prompt_without_a_known_character(trained: Trained) -> None:
    assert_one_line(charlm_here(trained.home, "generate", "--prompt", "日本"), 2, "--prompt")


def test_generate_survives_a_closed_pipe(trained: Trained) -> None:
    line = f'"{PROGRAM}" generate --length 300000 | head -c 100; echo ":${{PIPESTATUS[0]}}"'
    done = subprocess.run(
        ["bash", "-c", line],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=make_environment(trained.home),
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout.rpartition(":")[2] == f"{128 + signal.SIGPIPE}\n"
    assert done.stderr == ""
