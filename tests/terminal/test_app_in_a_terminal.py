"""The app as its user meets it: keys in, a screen out, a shell left as it was found."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from terminal_harness import (
    LONG,
    PROGRAM,
    STEP,
    Terminal,
    assert_terminal_restored,
    checkpoint_steps,
    control_bytes_outside_escapes,
    escape_sequences,
    make_environment,
    make_words,
    wait_for_steps,
)
from two_authors import write_authors

from model.runs.folder import RunFolder

pytestmark = pytest.mark.terminal

OpenApp = Callable[..., Terminal]
CHARACTERS = r"([\d,]+) characters ·"
SAVED = r"Checkpoint saved: step (\d[\d,]*)"


def press_until(terminal: Terminal, key: str, words: str) -> None:
    terminal.send(key)
    terminal.wait_for_text(words)


def wait_until_gone(terminal: Terminal, words: str) -> None:
    terminal.wait_for(lambda: words not in terminal.text, why=f"{words} to go")


def wait_until_training(terminal: Terminal) -> None:
    terminal.wait_for_text("TRAINING")
    terminal.wait_for(lambda: terminal.number(CHARACTERS) > 0, why="text")


def wait_for_more(terminal: Terminal, pattern: str) -> None:
    """Waits until a figure on the screen grows; one that has begun again grows from there."""
    last = terminal.number(pattern)

    def grows() -> bool:
        nonlocal last
        before, last = last, terminal.number(pattern)
        return last > max(0, before)

    terminal.wait_for(grows, why=f"more {pattern}")


def wait_until_still(terminal: Terminal, pattern: str, *, while_grows: str) -> None:
    """Waits until a figure stays as it is while another grows; it may be painted a frame later."""

    def is_still() -> bool:
        before = terminal.number(pattern)
        wait_for_more(terminal, while_grows)
        wait_for_more(terminal, while_grows)
        return terminal.number(pattern) == before

    terminal.wait_for(is_still, why=f"{pattern} to stay")


# --- one app that all of these use in turn --------------------------------------------------------


@pytest.fixture(scope="module")
def app_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    (home / "words.txt").write_text(make_words(40_000), encoding="utf-8")
    return home


SECONDS_TO_SETTLE = 10.0
"""How long an app may take to be as it began; then a new one is opened, which costs as much."""


class SharedApp:
    """An app that is opened once, and again where a failed test left it in another state."""

    def __init__(self, home: Path, terminals: ExitStack) -> None:
        self._home = home
        self._terminals = terminals
        self._terminal: Terminal | None = None

    def get(self) -> Terminal:
        if self._terminal is None or not self._is_as_it_began(self._terminal):
            self._terminals.close()
            self._terminal = self._terminals.enter_context(
                Terminal(
                    [PROGRAM, "words.txt", *LONG, "--temperature", "1"],
                    environment=make_environment(self._home),
                    folder=self._home,
                )
            )
            wait_until_training(self._terminal)
        return self._terminal

    @staticmethod
    def _is_as_it_began(terminal: Terminal) -> bool:
        """Returns whether the app is as it was opened, once it has painted what came before."""

        def is_as_it_began() -> bool:
            no_question = "Quit?" not in terminal.text and "(greedy)" not in terminal.text
            return "temperature 1.00" in terminal.text and no_question

        def has_ended() -> bool:
            return terminal.process.poll() is not None

        terminal.take_rest()
        terminal.comes_to(lambda: has_ended() or is_as_it_began(), SECONDS_TO_SETTLE)
        return is_as_it_began() and not has_ended()


@pytest.fixture(scope="module")
def shared_app(app_home: Path) -> Iterator[SharedApp]:
    with ExitStack() as terminals:
        yield SharedApp(app_home, terminals)


@pytest.fixture
def app(shared_app: SharedApp) -> Terminal:
    return shared_app.get()


def test_the_app_trains_and_writes_at_once(app: Terminal) -> None:
    app.wait_for_text("charlm-tui", "words.txt", "LSTM 1x16", "TRAINING", "Writing", "Quit")
    wait_for_more(app, CHARACTERS)
    wait_for_more(app, STEP)


def test_the_temperature_keys_change_the_title_and_mark_the_text(app: Terminal) -> None:
    press_until(app, "T", "temperature 1.00")
    press_until(app, "+", "temperature 1.05")
    app.wait_for_text("‹1.05›")  # noqa: RUF001 - the app's own signs
    press_until(app, "=", "temperature 1.10")
    press_until(app, "-", "temperature 1.05")
    press_until(app, "]", "temperature 1.30")
    app.wait_for_text("‹1.30›")  # noqa: RUF001
    press_until(app, "[", "temperature 1.05")
    press_until(app, "T", "temperature 1.00")
    app.wait_for_text("‹1.00›")  # noqa: RUF001


def test_a_temperature_can_be_typed(app: Terminal) -> None:
    press_until(app, "t", "(greedy)")
    press_until(app, "9", "not between 0 and 5")
    # One at a time, as fingers do: Textual runs Backspace and Enter behind letters of one write.
    press_until(app, "\x7f", "type a number")
    press_until(app, "0,4", "│   0,4")
    app.send("\r")
    app.wait_for_text("temperature 0.40", "‹0.40›")  # noqa: RUF001
    wait_until_gone(app, "(greedy)")
    press_until(app, "t", "(greedy)")
    press_until(app, "2", "│   2")
    app.send("\x1b")
    wait_until_gone(app, "(greedy)")
    press_until(app, "+", "temperature 0.45")  # one step above what was left as it was
    press_until(app, "T", "temperature 1.00")


def test_greedy_is_the_lowest_temperature(app: Terminal) -> None:
    app.send("[" * 6)
    app.wait_for_text("temperature 0.00 greedy")
    press_until(app, "T", "temperature 1.00")


def test_pausing_stops_the_steps_and_not_the_text(app: Terminal) -> None:
    app.wait_for_text("p Pause")
    app.send("p")
    app.wait_for_text("PAUSED", "p Go on")
    wait_until_still(app, STEP, while_grows=CHARACTERS)
    app.send("p")
    app.wait_for_text("TRAINING", "p Pause")
    wait_for_more(app, STEP)


def test_holding_stops_the_text_and_not_the_steps(app: Terminal) -> None:
    app.send(" ")
    app.wait_for_text("on hold", "space Go on")
    wait_until_still(app, CHARACTERS, while_grows=STEP)
    app.send(" ")
    app.wait_for_text("following", "space Hold")
    wait_for_more(app, CHARACTERS)


def test_the_pace_keys_change_the_pace(app: Terminal) -> None:
    press_until(app, ">", "100 char/s ·")
    press_until(app, "<", "60 char/s ·")


def test_a_terminal_that_is_too_small_gets_one_sentence_and_training_goes_on(
    app: Terminal,
) -> None:
    app.resize(200, 60)
    app.wait_for_text("symbols", "Quit")
    assert max(len(line.rstrip()) for line in app.screen.display) == 200
    before = wait_for_steps(app)
    app.resize(20, 5)
    sentence = "Needs 40x10, here 20x5. Training goes on; q quits."
    app.wait_for(lambda: " ".join(app.text.split()) == sentence, why="the sentence alone")
    app.resize(200, 60)
    app.wait_for_text("TRAINING", "Writing")
    app.wait_for(lambda: app.number(STEP) > before, why="steps made meanwhile")
    app.resize(80, 24)
    app.wait_for_text("TRAINING", "Writing", "q Quit")
    wait_for_more(app, CHARACTERS)


def test_every_view_is_reached_by_its_key(app: Terminal) -> None:
    for key, words in (
        ("3", "the model's own"),
        ("4", "left their neighbour"),
        ("5", "epoch 1"),
        ("6", "6 Events"),
        ("c", "surprise"),
        ("c", "novelty"),
    ):
        press_until(app, key, words)
    # Their titles: a note may lie over the words at the bottom for a while.
    for key, words in (
        ("v", "─ Views ─"),
        ("a", "─ Alternatives ─"),
        ("o", "─ Runs ─"),
        ("?", "─ Help ─"),
    ):
        press_until(app, key, words)
        app.send("\x1b")  # alone: a key that follows at once would make it an Alt of that key
        wait_until_gone(app, words)
    app.wait_for_text("following")  # the text goes on when Alternatives is left
    press_until(app, " ", "on hold")
    press_until(app, " ", "following")
    app.send("0")
    app.wait_for_text("1 Training", "2 Run", "Writing")


def test_the_ladder_of_models_races_and_goes_back(app: Terminal) -> None:
    press_until(app, "L", "0-gram")
    app.wait_for_text("2-gram", "5-gram", "LSTM", "bits")
    press_until(app, "L", "T 0.50")
    wait_until_gone(app, "0-gram")
    app.send("0")
    app.wait_for_text("1 Training", "2 Run", "Writing")


def test_s_saves_a_checkpoint_and_says_so(app: Terminal, app_home: Path) -> None:
    step = wait_for_steps(app)
    app.send("s")

    def is_said() -> bool:
        """A half-drawn screen shows two figures as one, which names no checkpoint."""
        said = app.number(SAVED)
        return said >= step and said in checkpoint_steps(app_home / "runs")

    app.wait_for(is_said, why="the note of a checkpoint that is there")


def test_r_restarts_the_text_with_another_seed(app: Terminal) -> None:
    press_until(app, "r", "new text, seed")
    first = re.findall(r"new text, seed (\d+)", app.text)[-1]
    app.send("r")
    app.wait_for(
        lambda: re.findall(r"new text, seed (\d+)", app.text)[-1:] not in ([first], []),
        why="another seed",
    )


def test_y_copies_through_the_terminal(app: Terminal) -> None:
    """Shows, too, that the test of hostile text below would see an OSC 52."""
    wait_for_more(app, CHARACTERS)  # a text that has just begun again has nothing to copy
    app.send("y")
    app.wait_for(lambda: b"\x1b]52" in b"".join(escape_sequences(bytes(app.raw))), why="the copy")
    app.wait_for_text("Copied")


def test_a_question_can_be_left_again(app: Terminal) -> None:
    press_until(app, "q", "Stop without saving")
    app.send("\x1b")
    wait_until_gone(app, "Stop without saving")
    app.wait_for_text("TRAINING")


def test_q_and_s_leave_a_checkpoint_that_loads_and_the_shell_as_it_was(
    app: Terminal, app_home: Path
) -> None:
    """The last of those that share an app: it ends it."""
    step = wait_for_steps(app)
    press_until(app, "q", "Save and stop")
    app.send("s")
    assert app.wait_for_exit() == 0
    assert_terminal_restored(app)

    warnings: list[str] = []
    folder = RunFolder.find(app_home / "runs", None)
    checkpoint = folder.checkpoints.load_latest(warnings.append)
    assert not warnings
    assert folder.checkpoints.paths()[-1].name == f"step-{checkpoint.metadata.step:08}.safetensors"
    assert checkpoint.metadata.step >= step

    farewell = bytes(app.raw).rpartition(b"\x1b[?1049l")[2].decode()
    run = checkpoint.metadata.run
    assert f"charlm-tui: run {run}: step {checkpoint.metadata.step:,}, " in farewell
    assert f"go on with: charlm-tui --resume --run {run}" in farewell
    assert "Traceback" not in app.plain


# --- two authors ----------------------------------------------------------------------------------


def test_two_models_write_one_text_and_a_key_moves_the_weight(
    open_app: OpenApp, tmp_path: Path
) -> None:
    first, second = write_authors(tmp_path / "runs")
    app = open_app("--checkpoint", str(first), "--with", str(second))
    app.wait_for_text("one 50% · two 50%", "author", "one lacks 2 of the 10 symbols", "{/} Mix")
    press_until(app, "{", "one 55% · two 45%")
    press_until(app, "}", "one 50% · two 50%")
    app.send("q")  # nothing is trained, so nothing is asked
    assert app.wait_for_exit() == 0
    assert_terminal_restored(app)


# --- other ends and beginnings --------------------------------------------------------------------


def test_q_and_d_leave_no_newer_checkpoint(open_app: OpenApp, tmp_path: Path) -> None:
    app = open_app("words.txt", *LONG)
    wait_until_training(app)
    runs = tmp_path / "runs"

    def paused_behind_a_checkpoint() -> bool:
        """Pauses where steps were made since the last checkpoint, so that they can be lost."""
        app.send("p")
        app.wait_for_text("PAUSED", "p Go on")
        saved, step = max(checkpoint_steps(runs), default=0), app.number(STEP)
        if 0 < saved < step:
            return True
        app.send("p")
        app.wait_for_text("TRAINING", "p Pause")
        return False

    app.wait_for(lambda: checkpoint_steps(runs), why="a checkpoint")
    app.wait_for(paused_behind_a_checkpoint, why="steps after the last checkpoint")
    before = checkpoint_steps(runs)
    press_until(app, "q", "Stop without saving")
    app.send("d")
    assert app.wait_for_exit() == 0
    assert checkpoint_steps(runs) == before
    assert_terminal_restored(app)
    assert "stopped without saving" in app.plain


def test_e_ends_training_and_the_text_goes_on(open_app: OpenApp, tmp_path: Path) -> None:
    app = open_app("words.txt", *LONG, columns=160, rows=40)
    wait_until_training(app)
    app.wait_for(lambda: app.number(STEP) > 0, why="steps")
    app.send("e")
    app.wait_for_text("DONE stopped", "Training stopped", "best weights")

    def written() -> list[str]:
        """Returns the left of the text; a note lies over the right of it for some seconds."""
        rows = app.text.partition("Writing")[2].splitlines()[1:]
        return [row[:60] for row in rows]

    before = written()
    app.wait_for(lambda: written() != before, why="text")
    (*_, last) = checkpoint_steps(tmp_path / "runs")
    app.wait_for(lambda: app.number(r"([\d,]+) steps in") == last, why="the steps saved")
    app.send("q")  # there is nothing left to lose, so nothing to ask
    assert app.wait_for_exit() == 0
    assert_terminal_restored(app)


def test_a_resumed_run_goes_on_where_it_was(
    open_app: OpenApp, trained_home: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained_home / "runs", tmp_path / "runs")
    before = checkpoint_steps(tmp_path / "runs")[-1]
    text = str(trained_home / "words.txt")  # named, for the run was begun in another folder
    app = open_app(text, "--resume", "--run", "before", "--minutes", "30", "--threads", "1")
    wait_until_training(app)
    app.wait_for(lambda: app.number(STEP) > before, why="steps after those of before")
    wait_for_more(app, CHARACTERS)
    press_until(app, "\x03", "Save and stop")
    app.send("\x03")
    assert app.wait_for_exit() == 0
    assert checkpoint_steps(tmp_path / "runs")[-1] > before


def test_a_checkpoint_file_writes_without_training(open_app: OpenApp, trained_home: Path) -> None:
    path = next((trained_home / "runs").glob("*/step-*.safetensors"))
    app = open_app("--checkpoint", str(path), "--temperature", "0.7")
    app.wait_for_text("OPENED", "Weights of step", "temperature 0.70")
    wait_for_more(app, CHARACTERS)
    app.send("p")
    app.wait_for_text("These are saved weights")
    app.send("q")
    assert app.wait_for_exit() == 0


def test_text_from_a_pipe_leaves_the_keyboard_to_the_app(open_app: OpenApp, tmp_path: Path) -> None:
    with Terminal(
        ["/bin/sh", "-c", 'cat words.txt | "$@"', "sh", PROGRAM, "-", *LONG],
        environment=make_environment(tmp_path),
        folder=tmp_path,
    ) as app:
        (tmp_path / "words.txt").write_text(make_words(), encoding="utf-8")
        wait_until_training(app)
        press_until(app, "+", "temperature 0.75")
        press_until(app, "q", "Save and stop")
        app.send("s")
        assert app.wait_for_exit() == 0
        assert_terminal_restored(app)


# --- foreign text ---------------------------------------------------------------------------------

HOSTILE = (
    "\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\x1b[2J\x1b[31mred\x1bc [/] [bold]x[/bold] [@click=quit]"
    "\x9b2J\x9d0;owned\x9c\x07\x08\x0e\x7f\u202eabc\u2066\ufeff\U000e0041 "
)
KNOWN_STRINGS = {b"22"}
"""OSC numbers that Textual itself writes: the shape of the mouse pointer."""
KNOWN_CSI_ENDS = set(b"mHhlpuABCDGJKt")


def test_a_hostile_text_puts_nothing_of_its_own_on_the_wire(
    open_app: OpenApp, tmp_path: Path
) -> None:
    name = "evil\x1b]0;owned\x07[red].txt"
    (tmp_path / name).write_text(HOSTILE * 60, encoding="utf-8", newline="")
    app = open_app(name, *LONG, "--rate", "500", "--prompt", "\x1b]52;c;b3duZWQ=\x07[/]")
    wait_until_training(app)
    app.wait_for(lambda: app.number(CHARACTERS) > 1500, why="text of every kind")
    press_until(app, "r", "new text, seed")
    press_until(app, "+", "temperature 0.75")
    press_until(app, "i", "restarts from it")
    app.send("\x1b")
    wait_until_gone(app, "restarts from it")
    press_until(app, "q", "Save and stop")
    app.send("s")
    assert app.wait_for_exit() == 0

    raw = bytes(app.raw)
    assert control_bytes_outside_escapes(raw) <= {0x0A, 0x0D}
    for sequence in escape_sequences(raw):
        if sequence.startswith(b"\x1b["):
            assert sequence[-1] in KNOWN_CSI_ENDS, sequence
        else:
            assert sequence[1:2] == b"]", sequence
            assert sequence[2:].partition(b";")[0] in KNOWN_STRINGS, sequence
    assert b"\x1b]52" not in raw
    assert b"\x1b[31mred" not in raw
    assert app.screen.titles == []
    assert_terminal_restored(app)
