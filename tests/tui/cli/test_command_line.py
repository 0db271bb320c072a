"""The headless commands as scripts rely on them: statuses, streams, keys.

Each command runs once in a process of its own, and so does whatever depends on one. The rest runs
in this process.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_here import Outcome, charlm_here
from patience import PATIENCE, moments
from terminal_harness import LONG, PROGRAM, TINY, checkpoint_steps, make_environment, make_words

from model.ngram.ngram_model import MIXED_SHARE

pytestmark = pytest.mark.terminal

TEXT = make_words(8000)
ABSENT_DEVICE = "mps" if sys.platform == "linux" else "cuda"
EVENT_KEYS = {
    "run_started": (
        "run corpus characters vocabulary parameters preset device precision threads seed plan "
        "network"
    ),
    "step": "step epoch loss learning_rate gradient_norm characters_per_second",
    "validation": "step epoch nats_per_character bits_per_character best",
    "checkpoint": "step path best",
    "sample": "step epoch temperature seed prompt text",
    "warning": "text",
    "finished": (
        "reason step best_nats_per_character best_bits_per_character seconds characters_per_second"
    ),
}
"""The contract: the keys of each event beside `event` and `time`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command left behind."""

    status: int
    output: str
    complaint: str


def charlm(
    home: Path, *arguments: str | Path, standard_input: str | None = None, **changes: str
) -> Done:
    """Runs one command in a folder of its own."""
    done = subprocess.run(
        [PROGRAM, *map(str, arguments)],
        input=(standard_input or "").encode(),
        capture_output=True,
        env=make_environment(home, **changes),
        cwd=home,
        timeout=PATIENCE,
        check=False,
    )
    return Done(status=done.returncode, output=done.stdout.decode(), complaint=done.stderr.decode())


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def assert_refused(done: Done | Outcome, status: int, *words: str) -> None:
    """Asserts the status, an empty stdout and one line on stderr with all the words."""
    assert done.status == status, done.complaint
    assert done.output == ""
    assert done.complaint.startswith("charlm-tui: ")
    assert done.complaint.count("\n") == 1
    assert done.complaint.endswith("\n")
    assert "Traceback" not in done.complaint
    for word in words:
        assert word in done.complaint


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A home with one finished run, and what `train --json` said."""

    home: Path
    events: list[dict[str, Any]]
    complaint: str

    @property
    def run(self) -> Path:
        return self.home / "runs" / "tiny"

    def last(self, kind: str) -> dict[str, Any]:
        return [event for event in self.events if event["event"] == kind][-1]


PLAN = [*TINY, "--run", "tiny", "--epochs", "3"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    home = tmp_path_factory.mktemp("home")
    (home / "words.txt").write_text(TEXT, encoding="utf-8")
    done = charlm(home, "train", "words.txt", "--json", *PLAN)
    assert done.status == 0, done.complaint
    return Trained(home=home, events=objects(done.output), complaint=done.complaint)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "words.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path


@pytest.fixture
def copied(trained: Trained, tmp_path: Path) -> Path:
    """A home whose run may be damaged."""
    shutil.copytree(trained.home, tmp_path / "copy")
    return tmp_path / "copy"


# --- texts that cannot be used --------------------------------------------------------------------


@pytest.mark.parametrize("command", [["train"], []], ids=["train", "app"])
def test_a_text_that_is_not_there_is_status_3(home: Path, command: list[str]) -> None:
    assert_refused(charlm_here(home, *command, "nosuchfile"), 3, "nosuchfile")
    assert not (home / "runs").exists()


def test_an_empty_text_is_status_3(home: Path) -> None:
    (home / "empty.txt").touch()
    assert_refused(charlm_here(home, "train", "empty.txt"), 3, "empty.txt", "is empty")


def test_an_empty_name_is_status_3(home: Path) -> None:
    assert_refused(charlm_here(home, "train", ""), 3, "the name is empty")


def test_a_folder_without_text_is_status_3(home: Path) -> None:
    (home / "folder").mkdir()
    (home / "folder" / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    refused = charlm_here(home, "train", "folder", "--json")
    assert_refused(refused, 3, "folder", "no text file")
    assert not (home / "runs").exists()


def test_a_binary_file_is_status_3(home: Path) -> None:
    (home / "binary").write_bytes(bytes(range(256)) * 40)
    refused = charlm_here(home, "train", "binary", "--json")
    assert_refused(refused, 3, "binary")
    assert not (home / "runs").exists()


def test_a_download_that_is_forbidden_is_status_6_and_offers_another_text(home: Path) -> None:
    assert_refused(
        charlm_here(home, "train", "nietzsche", "--offline"), 6, "--offline", "python-prose"
    )


# --- wrong usage ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("train --hidden 0", "--hidden"),
        ("train --hidden many", "--hidden"),
        ("train --layers 99", "--layers"),
        ("train --embedding -1", "--embedding"),
        ("train --dropout 1", "--dropout"),
        ("train --batch 0", "--batch"),
        ("train --sequence 0", "--sequence"),
        ("train --learning-rate nan", "--learning-rate"),
        ("train --epochs 0", "--epochs"),
        ("train --minutes 0", "--minutes"),
        ("train --validation-fraction 0.95", "--validation-fraction"),
        ("train --threads -1", "--threads"),
        ("train --device toaster", "--device"),
        ("train --precision fp8", "--precision"),
        ("train --seed -1", "--seed"),
        ("train --checkpoint-every 0", "--checkpoint-every"),
        ("train --json --encoding klingon", "klingon"),
        ("train words.txt more.txt", "more.txt"),
        ("--temperature 9", "--temperature"),
        ("--rate 0", "--rate"),
        ("--fps 0", "--fps"),
        ("generate --temperature -1", "--temperature"),
        ("generate --top-p 0", "--top-p"),
        ("generate --min-p 2", "--min-p"),
        ("generate --typical 0", "--typical"),
        ("generate --top-k -1", "--top-k"),
        ("generate --length -1", "--length"),
        ("generate --streams 0", "--streams"),
        ("generate --device quantum", "--device"),
        (f"generate --device {ABSENT_DEVICE}", ABSENT_DEVICE),
        ("generate --run a --checkpoint b", "--checkpoint"),
        ("generate --run ../a", "--run"),
        ("runs --nosuch", "--nosuch"),
        ("train --presett quick", "--preset"),
        ("train --preset quik", "quick"),
    ],
)
def test_a_bad_option_is_status_2_and_named(trained: Trained, words: str, named: str) -> None:
    assert_refused(charlm_here(trained.home, *words.split()), 2, named)


# --- runs and checkpoints that cannot be used -----------------------------------------------------


@pytest.mark.parametrize("command", ["generate", "evaluate", "train --json --resume"])
def test_a_run_that_is_not_there_is_status_4(trained: Trained, command: str) -> None:
    refused = charlm_here(trained.home, *command.split(), "--run", "nosuch")
    assert_refused(refused, 4, "nosuch", "charlm-tui runs")


def test_no_run_at_all_is_status_4(home: Path) -> None:
    assert_refused(charlm_here(home, "generate"), 4, "charlm-tui train")


def test_no_runs_are_an_empty_list(home: Path) -> None:
    assert charlm(home, "runs", "--json") == Done(status=0, output="", complaint="")


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 0x10
    path.write_bytes(data)


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(copied: Path) -> None:
    paths = sorted((copied / "runs" / "tiny").glob("step-*.safetensors"))
    assert len(paths) >= 2
    best = next(
        item["path"]
        for item in objects(charlm_here(copied, "runs", "--json").output)[0]["checkpoints"]
        if item["best"]
    )
    damage(Path(best))
    done = charlm_here(copied, "generate", "--length", "50")
    assert done.status == 0
    assert len(done.output) == 50 + len("\n")
    assert Path(best).name in done.complaint.splitlines()[0]
    assert done.complaint.count("charlm-tui: ") == 1


def test_a_run_with_nothing_but_damage_is_status_4(copied: Path) -> None:
    for path in (copied / "runs" / "tiny").glob("step-*.safetensors"):
        damage(path)
    done = charlm_here(copied, "generate")
    assert (done.status, done.output) == (4, "")
    assert "no checkpoint that can be read" in done.complaint.splitlines()[-1]
    assert all(line.startswith("charlm-tui: ") for line in done.complaint.splitlines())


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", None])
def test_a_file_that_is_no_checkpoint_is_status_4(copied: Path, content: bytes | None) -> None:
    path = next((copied / "runs" / "tiny").glob("step-*.safetensors"))
    if content is None:
        damage(path)
    else:
        path.write_bytes(content)
    assert_refused(charlm_here(copied, "generate", "--checkpoint", path), 4, path.name)


def test_a_checkpoint_that_is_not_there_is_status_4(trained: Trained) -> None:
    assert_refused(charlm_here(trained.home, "generate", "--checkpoint", "nosuch"), 4, "nosuch")


# --- the file system ------------------------------------------------------------------------------


def test_a_file_instead_of_the_folder_of_runs_is_status_5(home: Path) -> None:
    refused = charlm_here(home, "train", "words.txt", "--json", *TINY, "--checkpoints", "words.txt")
    assert_refused(refused, 5, "words.txt", "--checkpoints")
    assert (home / "words.txt").read_text(encoding="utf-8") == TEXT


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_status_5(home: Path) -> None:
    (home / "locked").mkdir(mode=0o500)
    refused = charlm_here(home, "train", "words.txt", "--json", *TINY, "--checkpoints", "locked")
    assert_refused(refused, 5, "locked", "--checkpoints")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["generate"], ["generate", "--json"], ["corpora"]], ids=str)
def test_a_full_disk_below_the_output_is_status_5(trained: Trained, arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=make_environment(trained.home),
            timeout=PATIENCE,
            check=False,
        )
    assert_refused(Done(status=done.returncode, output="", complaint=done.stderr), 5, "No space")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_train_saves_although_nobody_can_be_told(home: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [PROGRAM, "train", "words.txt", "--json", *LONG],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=make_environment(home),
            cwd=home,
            timeout=PATIENCE,
            check=False,
        )
    assert_refused(Done(status=done.returncode, output="", complaint=done.stderr), 5, "No space")
    assert checkpoint_steps(home / "runs")


# --- train ----------------------------------------------------------------------------------------


def test_train_prints_the_events_of_the_contract_and_nothing_else(trained: Trained) -> None:
    assert trained.complaint == ""
    for event in trained.events:
        keys = {"event", "time", *EVENT_KEYS[event["event"]].split()}
        assert set(event) == keys, event["event"]
    kinds = [event["event"] for event in trained.events]
    assert kinds[0] == "run_started"
    assert kinds[-1] == "finished"
    assert {"step", "validation", "checkpoint", "sample"} <= set(kinds)
    times = [event["time"] for event in trained.events]
    assert times == sorted(times)


def test_train_keeps_in_the_run_what_it_printed(trained: Trained) -> None:
    lines = (trained.run / "metrics.jsonl").read_text(encoding="utf-8")
    assert objects(lines) == trained.events
    samples = objects((trained.run / "samples.jsonl").read_text(encoding="utf-8"))
    assert samples == [event for event in trained.events if event["event"] == "sample"]


def test_train_ends_with_its_last_step_saved(trained: Trained) -> None:
    started, finished = trained.events[0], trained.events[-1]
    assert (started["run"], started["corpus"]) == ("tiny", "words.txt")
    assert started["characters"] == len(TEXT)
    assert started["vocabulary"] == len(set(TEXT))
    assert finished["reason"] == "completed"
    assert finished["step"] == checkpoint_steps(trained.home / "runs")[-1]
    best = min(e["nats_per_character"] for e in trained.events if e["event"] == "validation")
    assert finished["best_nats_per_character"] == best
    assert finished["best_bits_per_character"] == pytest.approx(best / math.log(2), rel=1e-5)
    assert best < 2.5, "it learned next to nothing"


def test_train_tells_plain_lines_to_a_pipe(home: Path) -> None:
    done = charlm(home, "train", "-", *TINY, "--epochs", "1", standard_input=TEXT)
    assert (done.status, done.complaint) == (0, "")
    assert "\x1b" not in done.output
    assert "\r" not in done.output
    assert "completed after step" in done.output.splitlines()[-1]
    assert f"{len(TEXT):,} characters" in done.output
    assert len(checkpoint_steps(home / "runs")) == 1


def test_a_run_that_exists_is_not_trained_over(trained: Trained) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in trained.run.iterdir()}
    refused = charlm_here(trained.home, "train", "words.txt", "--json", *PLAN)
    assert_refused(refused, 2, "tiny", "--resume")
    assert {path.name: path.stat().st_mtime_ns for path in trained.run.iterdir()} == before


def test_a_reader_that_has_enough_ends_training_quietly_with_a_checkpoint(home: Path) -> None:
    with training(home, *LONG) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(3):
            json.loads(process.stdout.readline())
        process.stdout.close()
        assert process.wait(PATIENCE) == 128 + signal.SIGPIPE
        assert process.stderr.read() == ""
    assert checkpoint_steps(home / "runs")


def test_an_interrupted_run_that_is_resumed_ends_as_one_that_was_not(
    trained: Trained, home: Path
) -> None:
    for _ in moments("a run that hears its signal before its end"):
        shutil.rmtree(home / "runs", ignore_errors=True)
        status, stopped = interrupted(home)
        if status != 0 and stopped["reason"] == "stopped":
            break
    assert status == 128 + signal.SIGTERM
    assert stopped["step"] < trained.last("finished")["step"]

    resumed = charlm(home, "train", "--resume", "--run", "tiny", "--json", "--threads", "1")
    assert resumed.status == 0, resumed.complaint
    events = objects(resumed.output)
    assert events[-1]["step"] == trained.last("finished")["step"]
    losses = [event for event in events if event["event"] == "validation"]
    assert losses[-1]["step"] == trained.last("validation")["step"]
    assert losses[-1]["nats_per_character"] == trained.last("validation")["nats_per_character"]
    samples = [event["text"] for event in events if event["event"] == "sample"]
    assert samples[-1] == trained.last("sample")["text"]


def interrupted(home: Path) -> tuple[int, dict[str, Any]]:
    """Trains, sends a signal at the first validation; returns the status and what was said last."""
    with training(home, *PLAN) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["event"] == "validation":
                process.send_signal(signal.SIGTERM)
                break
        rest, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, objects(rest)[-1]


@contextmanager
def training(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Starts `train --json`, and ends it whatever became of it."""
    process = subprocess.Popen(
        [PROGRAM, "train", "words.txt", "--json", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=make_environment(home),
        cwd=home,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


# --- generate -------------------------------------------------------------------------------------


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


def test_generate_ends_before_the_text_to_stop_at(trained: Trained) -> None:
    options = ["generate", "--seed", "5", "--length", "400"]
    whole = charlm_here(trained.home, *options).output
    stop = whole[150:154]
    ended = whole.partition(stop)[0] + "\n"
    assert charlm_here(trained.home, *options, "--stop", stop).output == ended
    assert charlm_here(trained.home, *options, "--stop", "nowhere").output == whole


def test_generate_says_that_a_stop_can_never_come(trained: Trained) -> None:
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


def test_generate_refuses_a_prompt_of_which_it_knows_nothing(trained: Trained) -> None:
    assert_refused(charlm_here(trained.home, "generate", "--prompt", "日本"), 2, "--prompt")


def test_generate_survives_a_reader_that_has_enough(trained: Trained) -> None:
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


# --- evaluate, runs, corpora ----------------------------------------------------------------------

SCORE_KEYS = [
    "characters",
    "nats_per_character",
    "bits_per_character",
    "windowed_nats_per_character",
    "seconds",
]


def test_evaluate_scores_the_held_out_part_of_the_runs_own_text(trained: Trained) -> None:
    done = charlm(trained.home, "evaluate", "--json")
    assert (done.status, done.complaint) == (0, "")
    (record,) = objects(done.output)
    assert sorted(record) == sorted(SCORE_KEYS)
    assert record["characters"] == pytest.approx(len(TEXT) / 10, abs=2)
    nats = record["nats_per_character"]
    assert record["bits_per_character"] == pytest.approx(nats / math.log(2))
    # Training scores the same text in other pieces.
    assert nats == pytest.approx(trained.last("finished")["best_nats_per_character"], rel=0.1)
    assert record["windowed_nats_per_character"] >= nats - 0.05


def test_evaluate_scores_another_text(trained: Trained) -> None:
    (trained.home / "other.txt").write_text("zzz the old man. " * 30, encoding="utf-8")
    done = charlm_here(trained.home, "evaluate", "other.txt", "--json")
    assert done.status == 0
    (record,) = objects(done.output)
    assert sorted(record) == sorted(SCORE_KEYS)
    assert record["nats_per_character"] > 0
    assert done.complaint.count("\n") == 1
    assert "90 characters" in done.complaint


def test_evaluate_scores_counts_of_the_training_part_on_the_same_text(trained: Trained) -> None:
    own = charlm_here(trained.home, "evaluate", "--json", "--ngram", "5")
    assert (own.status, own.complaint) == (0, "")
    (record,) = objects(own.output)
    added = ["ngram_order", "ngram_counted_characters"]
    added += ["ngram_nats_per_character", "ngram_bits_per_character"]
    added += ["mixed_nats_per_character", "mixed_bits_per_character"]
    assert sorted(record) == sorted([*SCORE_KEYS, *added])
    assert record["ngram_order"] == 5
    assert record["ngram_counted_characters"] == pytest.approx(len(TEXT) * 0.9, abs=2)
    nats = record["ngram_nats_per_character"]
    assert record["ngram_bits_per_character"] == pytest.approx(nats / math.log(2))
    (fewer,) = objects(charlm_here(trained.home, "evaluate", "--json", "--ngram", "0").output)
    assert fewer["ngram_nats_per_character"] > nats > 0
    (trained.home / "other.txt").write_text("eht dlo nam. " * 30, encoding="utf-8")
    (other,) = objects(
        charlm_here(trained.home, "evaluate", "other.txt", "--json", "--ngram=5").output
    )
    assert other["ngram_counted_characters"] == record["ngram_counted_characters"]
    assert other["ngram_nats_per_character"] > nats + 1
    mixed = record["mixed_nats_per_character"]
    assert record["mixed_bits_per_character"] == pytest.approx(mixed / math.log(2))
    # A mixture loses at most the logarithm of the network's share to the network.
    assert 0 < mixed < record["nats_per_character"] - math.log(1 - MIXED_SHARE)
    sentence = charlm_here(trained.home, "evaluate", "--ngram=5").output
    assert f"{nats:.4f} nats (5-gram); {mixed:.4f} nats (both, 20 % of it 5-gram); " in sentence


def test_evaluate_refuses_an_order_that_helps_nobody(trained: Trained) -> None:
    assert_refused(charlm_here(trained.home, "evaluate", "--ngram=9"), 2, "--ngram")


def test_evaluate_takes_a_checkpoint_file_and_prints_a_sentence(trained: Trained) -> None:
    path = next(trained.run.glob("step-*.safetensors"))
    done = charlm_here(trained.home, "evaluate", "--checkpoint", path)
    assert done.status == 0
    assert "nats" in done.output
    assert done.output.count("\n") == 1


def test_evaluate_tells_cold_starts_and_dynamic_evaluation_apart(trained: Trained) -> None:
    plain = objects(charlm_here(trained.home, "evaluate", "--json").output)[0]
    done = charlm_here(trained.home, "evaluate", "--json", "--cold-starts", "--dynamic")
    assert (done.status, done.complaint) == (0, "")
    (record,) = objects(done.output)
    for key in SCORE_KEYS[:-1]:
        assert record[key] == plain[key]
    assert 1 <= record["cold_starts"] <= 1000
    assert record["lost"] == 0
    assert record["cold_excess_nats_per_character"] <= record["worst_excess_nats_per_character"]
    assert record["dynamic_nats_per_character"] < record["nats_per_character"]
    sentence = charlm_here(trained.home, "evaluate", "--dynamic", "--cold-starts", "7").output
    assert "lost at 0 of 7 cold starts" in sentence
    assert "(dynamic evaluation)" in sentence


@pytest.mark.parametrize("number", ["0", "many"])
def test_evaluate_refuses_an_odd_number_of_cold_starts(trained: Trained, number: str) -> None:
    assert_refused(
        charlm_here(trained.home, "evaluate", f"--cold-starts={number}"), 2, "--cold-starts"
    )


def test_runs_lists_runs_in_json(trained: Trained) -> None:
    done = charlm(trained.home, "runs", "--json")
    assert (done.status, done.complaint) == (0, "")
    (record,) = objects(done.output)
    keys = "run path corpus network steps best_nats_per_character checkpoints state"
    assert sorted(record) == sorted(keys.split())
    assert [record[key] for key in ("run", "corpus", "state")] == ["tiny", "words.txt", "finished"]
    assert record["steps"] == trained.last("finished")["step"]
    steps = [item["step"] for item in record["checkpoints"]]
    assert steps == checkpoint_steps(trained.home / "runs")
    for item in record["checkpoints"]:
        assert sorted(item) == sorted(["step", "path", "nats_per_character", "best"])
        assert Path(trained.home, item["path"]).is_file()
    assert sum(item["best"] for item in record["checkpoints"]) == 1


def test_runs_prints_a_table_without_control_characters(trained: Trained) -> None:
    done = charlm_here(trained.home, "runs")
    assert done.status == 0
    assert "tiny" in done.output
    assert "\x1b" not in done.output


def test_corpora_lists_the_built_in_texts_in_json(home: Path) -> None:
    done = charlm(home, "corpora", "--json")
    assert (done.status, done.complaint) == (0, "")
    records = {record["name"]: record for record in objects(done.output)}
    assert {"python-prose", "python-docs", "python-source", "nietzsche"} <= set(records)
    for record in records.values():
        assert sorted(record) == sorted(["name", "description", "characters", "source", "present"])
    assert records["python-docs"]["present"] is True
    assert records["nietzsche"]["present"] is False


def test_corpora_tells_what_the_cache_holds_and_clears_it(home: Path) -> None:
    texts = home / "cache" / "charlm-tui" / "texts"
    texts.mkdir(parents=True)
    (texts / f"{'0' * 64}.ids").write_bytes(b"x" * 3_000_000)
    listed = charlm_here(home, "corpora", environment={"CHARLM_CACHE_LIMIT": "2G"})
    assert listed.status == 0
    assert f"cache of encoded texts: 2.9 MiB of at most 2.0 GiB in {texts}" in listed.output
    cleared = charlm_here(home, "corpora", "--clear-cache")
    assert (cleared.status, cleared.output) == (0, f"freed 2.9 MiB in {texts}\n")
    assert not list(texts.iterdir())
    assert objects(charlm_here(home, "corpora", "--clear-cache", "--json").output) == [
        {"freed_bytes": 0}
    ]
    environment = {"CHARLM_CACHE_LIMIT": "plenty"}
    refused = charlm_here(home, "corpora", environment=environment)
    assert refused.status == 3
    assert "$CHARLM_CACHE_LIMIT: 'plenty' is not a size" in refused.complaint


def test_patterns_choose_the_files_of_a_folder_and_are_remembered(home: Path) -> None:
    folder = home / "folder"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(make_words(3000))
    (folder / "c.md").write_text("# \N{SNOWMAN}\n" * 2000)
    first = charlm(home, "train", folder, "--include", "*.txt", *TINY, "--epochs", "1", "--json")
    assert first.status == 0, first.complaint
    started = objects(first.output)[0]
    assert started["characters"] == 6003
    again = charlm(home, "train", "--resume", "--epochs", "2", "--json")
    assert again.status == 0, again.complaint
    assert objects(again.output)[0]["characters"] == 6003
    assert "not the one" not in again.output
    alone = charlm(home, "train", folder / "a.txt", "--include", "*.txt", *TINY)
    assert alone.status == 2
    assert "--include:" in alone.complaint


def test_output_that_was_closed_from_the_start_is_no_error(trained: Trained) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$0" generate <&- >&- && "$0" runs --json >&- && "$0" corpora >&-', PROGRAM],
        capture_output=True,
        text=True,
        env=make_environment(trained.home),
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert "400 characters" in done.stderr


# --- help, version, completion --------------------------------------------------------------------


def test_the_program_says_its_version(home: Path) -> None:
    done = charlm(home, "--version")
    assert done.status == 0
    assert re.fullmatch(r"charlm-tui, version \d+\.\d+\.\d+\n", done.output)


def test_every_command_has_help(home: Path) -> None:
    page = charlm(home, "--help")
    assert page.status == 0
    commands = re.findall(r"^  ([a-z]+)  ", page.output.partition("Commands:\n")[2], re.MULTILINE)
    assert {"train", "generate", "evaluate", "runs", "corpora"} <= set(commands)
    for command in commands:
        done = charlm(home, command, "--help")
        assert (done.status, done.complaint) == (0, "")
        assert done.output.startswith("Usage: charlm-tui ")
        assert command in done.output
        assert len(max(done.output.splitlines(), key=len)) <= 100


def test_debug_shows_the_traceback_above_the_line(home: Path) -> None:
    done = charlm(home, "train", "nosuchfile", "--debug")
    assert done.status == 3
    assert "Traceback" in done.complaint
    assert done.complaint.splitlines()[-1].startswith("charlm-tui: nosuchfile")


def test_the_completion_script_is_one_that_bash_accepts(home: Path) -> None:
    script = charlm(home, "--completion", "bash")
    assert script.status == 0
    assert "_CHARLM_TUI_COMPLETE" in script.output
    subprocess.run(["bash", "-n"], input=script.output, text=True, check=True, timeout=PATIENCE)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("charlm-tui tr", "train"),
        ("charlm-tui --temp", "--temperature"),
        ("charlm-tui words.txt --hid", "--hidden"),
        ("charlm-tui generate --le", "--length"),
    ],
)
def test_completion_offers_commands_and_options(home: Path, words: str, expected: str) -> None:
    done = charlm(
        home,
        _CHARLM_TUI_COMPLETE="bash_complete",
        COMP_WORDS=words,
        COMP_CWORD=str(words.count(" ")),
    )
    assert done.status == 0
    assert expected in [line.partition(",")[2] for line in done.output.splitlines()]
