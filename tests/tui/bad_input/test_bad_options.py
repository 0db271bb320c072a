"""Options and prompts out of range: what each is answered, through the command line (O1 to O11)."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_here import assert_one_line, charlm_here
from model_fixtures import make_checkpoint
from patience import PATIENCE
from terminal_harness import PROGRAM, make_environment, make_words

from model.runs.checkpoint_file import write_checkpoint

WORDS = make_words(3000)
TRAIN = ("train", "words.txt", "--json")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "words.txt").write_text(WORDS, encoding="utf-8")
    (tmp_path / "runs" / "saved").mkdir(parents=True)
    path = tmp_path / "runs" / "saved" / "step-00000001.safetensors"
    write_checkpoint(path, make_checkpoint())
    (tmp_path / "runs" / "saved" / "run.json").write_text("{}", encoding="utf-8")
    return tmp_path


REFUSED = [
    *(("O1", (*TRAIN, "--learning-rate", x), "--learning-rate") for x in ("nan", "inf", "-1", "0")),
    ("O1 word", (*TRAIN, "--learning-rate", "fast"), "--learning-rate"),
    *(
        ("O3", ("generate", "--temperature", x), "--temperature")
        for x in ("nan", "inf", "-0.1", "1e30")
    ),
    *(("O3 app", ("--temperature", x), "--temperature") for x in ("nan", "-1")),
    *(("O3 top-p", ("generate", "--top-p", x), "--top-p") for x in ("0", "nan", "1.5")),
    *(("O3 typical", ("generate", "--typical", x), "--typical") for x in ("0", "nan", "1.5", "x")),
    ("O3 app", ("--typical", "0"), "--typical"),
    ("O3 min-p", ("generate", "--min-p", "nan"), "--min-p"),
    ("O3 top-k", ("generate", "--top-k", "-1"), "--top-k"),
    ("O4", ("generate", "--prompt", "漢\x1b[2J"), "--prompt"),
    ("O6", ("generate", "--prompt", "x" * 10_000_000), "--prompt"),
    ("O6 app", ("words.txt", "--prompt", "x" * 10_000_000), "--prompt"),
    *(("O7", (*TRAIN, "--sequence", x), "--sequence") for x in ("0", "-1", "65537")),
    *(("O7", (*TRAIN, "--hidden", x), "--hidden") for x in ("0", "-1", "99999")),
    *(("O7", (*TRAIN, "--batch", x), "--batch") for x in ("0", "-7")),
    *(("O7", (*TRAIN, "--layers", x), "--layers") for x in ("0", "17")),
    *(("O7", (*TRAIN, "--dropout", x), "--dropout") for x in ("nan", "-1", "1")),
    *(("O7", (*TRAIN, "--minutes", x), "--minutes") for x in ("0", "nan", "-1")),
    *(("O7", (*TRAIN, "--epochs", x), "--epochs") for x in ("0", "-1")),
    *(("O7", (*TRAIN, "--threads", x), "--threads") for x in ("-1", "4096")),
    ("O7", (*TRAIN, "--checkpoint-every", "nan"), "--checkpoint-every"),
    ("O7", (*TRAIN, "--validation-fraction", "nan"), "--validation-fraction"),
    ("O8", ("generate", "--length", "-1"), "--length"),
    *(("O9", (*TRAIN, "--seed", x), "--seed") for x in ("-1", str(2**64), str(2**63))),
    *(("O9", ("generate", "--seed", x), "--seed") for x in ("-1", str(2**64))),
    *(("O9", ("words.txt", "--seed", x), "--seed") for x in ("-1", str(2**64))),
    *(("rate", ("words.txt", "--rate", x), "--rate") for x in ("nan", "0", "1e9")),
    ("encoding", (*TRAIN, "--encoding", "klingon"), "--encoding"),
    ("weights only", (*TRAIN, "--weights-only"), "--weights-only"),
    ("encoding", (*TRAIN, "--encoding", "zlib"), "--encoding"),
    ("preset", (*TRAIN, "--preset", "enormous"), "--preset"),
    ("run name", (*TRAIN, "--run", "../outside"), "--run"),
    ("run name", (*TRAIN, "--run", "\x1b[2J"), "--run"),
    ("hang-up", ("words.txt", "--on-hangup", "dance"), "--on-hangup"),
    ("no such", (*TRAIN, "--no-such-option"), "--no-such-option"),
]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [row[1:] for row in REFUSED],
    ids=[f"{row[0]} {row[2]}" for row in REFUSED],
)
def test_an_option_out_of_range_is_status_2_and_named(
    home: Path, arguments: tuple[str, ...], named: str
) -> None:
    assert_one_line(charlm_here(home, *arguments), 2, named)
    assert [path.name for path in (home / "runs").iterdir()] == ["saved"]


@pytest.mark.parametrize(
    ("arguments", "status", "named"),
    [
        (("train", "--resume", "--run", "gone", "--json"), 4, "gone"),
        (("generate", "--run", "gone"), 4, "gone"),
        (("evaluate", "--run", "gone"), 4, "gone"),
        (("watch", "gone"), 4, "gone"),
        (("generate", "--checkpoint", "gone"), 4, "gone"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_a_run_that_is_not_there_is_status_4(
    home: Path, arguments: tuple[str, ...], status: int, named: str
) -> None:
    assert_one_line(charlm_here(home, *arguments), status, named)


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "gone.txt"),
        ("train", "words.txt", "--encoding", "klingon"),
        ("train", "--resume", "--run", "gone"),
    ],
    ids=" ".join,
)
def test_what_can_be_refused_at_once_does_not_wait_for_torch(
    home: Path, arguments: tuple[str, ...]
) -> None:
    """Torch takes two seconds to import; a wrong name is known before."""
    program = (
        "import sys; from tui.cli.main import run\n"
        "status = run(sys.argv[1:])\n"
        "sys.exit(99 if 'torch' in sys.modules else status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=make_environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode in {2, 3, 4}, done.stderr
    assert done.stderr.count("\n") == 1


def test_o2_temperature_0_is_greedy_and_o3_a_tiny_one_is_as_good(home: Path) -> None:
    greedy = charlm_here(home, "generate", "--temperature", "0", "--length", "50", "--seed", "1")
    tiny = charlm_here(home, "generate", "--temperature", "1e-30", "--length", "50", "--seed", "2")
    assert (greedy.status, tiny.status) == (0, 0)
    assert len(greedy.output) == 50 + len("\n")
    assert greedy.output == tiny.output
    assert "nan" not in greedy.complaint


def test_o4_characters_outside_the_vocabulary_are_left_out_and_listed_inertly(home: Path) -> None:
    outcome = charlm_here(home, "generate", "--prompt", "ab\x1b漢", "--length", "5")
    assert outcome.status == 0
    assert "U+001B" in outcome.complaint
    assert outcome.complaint.replace("\n", "").isprintable()


def test_o5_an_empty_prompt_is_a_start_without_one(home: Path) -> None:
    assert charlm_here(home, "generate", "--prompt", "", "--length", "5").status == 0


def test_o8_no_length_is_no_text(home: Path) -> None:
    outcome = charlm_here(home, "generate", "--length", "0")
    assert (outcome.status, outcome.output) == (0, "")


def test_o8_a_length_without_end_streams_until_a_signal(home: Path) -> None:
    with subprocess.Popen(
        [PROGRAM, "generate", "--length", str(10**12), "--seed", "1"],
        env=make_environment(home),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(20_000)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert b"Traceback" not in complaint


def test_o10_a_reader_that_has_enough_is_no_error_to_speak_of(home: Path) -> None:
    script = '("$@"; echo $? > status) | head -c 10'
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", PROGRAM, "generate", "--length", "1000000"],
        env=make_environment(home),
        cwd=home,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert len(done.stdout) == 10
    assert done.stderr == b""
    status = (home / "status").read_text(encoding="utf-8").strip()
    assert status in {"141", "0"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(
    "arguments",
    [("generate", "--length", "20000"), ("generate", "--json"), ("runs",), ("runs", "--json")],
    ids=" ".join,
)
def test_o11_a_full_disk_below_the_output_is_status_5(
    home: Path, arguments: tuple[str, ...]
) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [PROGRAM, *arguments],
            env=make_environment(home),
            cwd=home,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 5, done.stderr
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
