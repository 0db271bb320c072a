"""The app where it is used from afar: over a real sshd, and inside tmux."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from patience import PATIENCE, moments, wait_until
from ports import free_port
from terminal_harness import (
    LONG,
    PROGRAM,
    Terminal,
    assert_saved_at_the_end,
    checkpoint_steps,
    is_alive,
    make_environment,
    make_words,
    wait_for_steps,
)
from tmux_server import Tmux

pytestmark = pytest.mark.terminal

CHARACTERS = r"([\d,]+) characters ·"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "words.txt").write_text(make_words(), encoding="utf-8")
    return tmp_path


def app_in_a_shell(home: Path, *arguments: str, left_out: tuple[str, ...] = ()) -> str:
    """Returns a line for a shell that runs the app and notes its process id and its status.

    The shell itself does not care for a hang-up, so that it lives to note the status.
    """
    environment = make_environment(home)
    settings = [
        shlex.quote(f"{name}={value}")
        for name, value in environment.items()
        if name not in left_out
    ]
    app = shlex.join([PROGRAM, "words.txt", *LONG, *arguments])
    inner = f'echo $$ > process && exec env -i TERM="$TERM" {" ".join(settings)} {app}'
    return (
        f"cd {shlex.quote(str(home))} && trap : HUP TERM && "
        f"sh -c {shlex.quote(inner)}; echo $? > status"
    )


def wait_for_process(home: Path) -> int:
    for _ in moments():
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int((home / "process").read_text(encoding="utf-8"))
    raise AssertionError


def wait_until_ended(process_id: int) -> None:
    wait_until(lambda: not is_alive(process_id), "the end of the app")


def noted_status(home: Path) -> int:
    """Returns what the shell notes a moment after the app has ended."""
    for _ in moments():
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int((home / "status").read_text(encoding="utf-8"))
    raise AssertionError


# --- ssh ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A daemon on the loopback address, and how to reach it."""

    folder: Path
    port: int

    def command(self, line: str) -> list[str]:
        """Returns the client that runs a line there, in a terminal."""
        options = {
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": str(self.folder / "known"),
            "IdentityFile": str(self.folder / "user"),
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "BatchMode": "yes",
            "LogLevel": "ERROR",
        }
        settings = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return ["ssh", "-tt", "-F", "none", *settings, "-p", str(self.port), "127.0.0.1", line]


def find_sshd() -> str | None:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    sshd = find_sshd()
    if sshd is None or not shutil.which("ssh") or not shutil.which("ssh-keygen"):
        pytest.skip("sshd, ssh or ssh-keygen is not on this machine")
    folder = tmp_path_factory.mktemp("ssh")
    for key in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key],
            check=True,
            capture_output=True,
        )
    shutil.copy(folder / "user.pub", folder / "authorized")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    port = free_port()
    configuration = {
        "ListenAddress": "127.0.0.1",
        "Port": port,
        "HostKey": folder / "host",
        "PidFile": "none",
        "AuthorizedKeysFile": folder / "authorized",
        "AuthenticationMethods": "publickey",
        "PermitRootLogin": "yes",
        "UsePAM": "no",
        "StrictModes": "no",
        "PrintMotd": "no",
        "PrintLastLog": "no",
    }
    lines = [f"{name} {value}\n" for name, value in configuration.items()]
    (folder / "config").write_text("".join(lines), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [sshd, "-D", "-e", "-f", folder / "config"], stdin=subprocess.DEVNULL, stderr=log
        )
        try:
            _wait_until_it_listens(daemon, port, folder / "log")
            yield Server(folder=folder, port=port)
        finally:
            daemon.terminate()
            daemon.wait(PATIENCE)


def _wait_until_it_listens(daemon: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in moments():
        if daemon.poll() is not None:
            said = log.read_text(encoding="utf-8", errors="replace").strip()
            pytest.skip(f"sshd does not start here: {said}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE):
            return


@pytest.fixture
def connect(server: Server, home: Path) -> Iterator[Callable[..., Terminal]]:
    """Opens the app at the other end of a connection."""
    with contextlib.ExitStack() as terminals:

        def connected(*arguments: str) -> Terminal:
            terminal = terminals.enter_context(
                Terminal(
                    server.command(app_in_a_shell(home, *arguments, left_out=("TERM",))),
                    environment=make_environment(home),
                    folder=home,
                    columns=100,
                    rows=30,
                )
            )
            terminal.wait_for_text("TRAINING")
            terminal.wait_for(lambda: terminal.number(CHARACTERS) > 0, why="text")
            return terminal

        yield connected


def test_the_app_works_over_ssh(connect: Callable[..., Terminal], home: Path) -> None:
    terminal = connect()
    assert max(len(line.rstrip()) for line in terminal.screen.display) == 100
    terminal.send("+")
    terminal.wait_for_text("temperature 0.75", "‹0.75›")  # noqa: RUF001 - the app's own signs
    terminal.resize(60, 20)
    terminal.wait_for(
        lambda: (
            max(len(line.rstrip()) for line in terminal.screen.display) == 60
            and "TRAINING" in terminal.text
        ),
        why="the new size",
    )
    terminal.send("q")
    terminal.wait_for_text("Save and stop")
    terminal.send("s")
    assert terminal.wait_for_exit() == 0
    assert checkpoint_steps(home / "runs")
    assert "go on with: charlm-tui --resume" in terminal.plain
    wait_until_ended(wait_for_process(home))


def cut(connect: Callable[..., Terminal], home: Path) -> float:
    """Cuts a connection and asserts that nothing was lost; returns the seconds to the end."""
    terminal = connect()
    process_id = wait_for_process(home)
    assert is_alive(process_id)
    step = wait_for_steps(terminal)
    terminal.process.kill()
    began = time.monotonic()
    wait_until_ended(process_id)
    seconds = time.monotonic() - began
    assert_saved_at_the_end(home / "runs", at_least=step)
    assert noted_status(home) == 128 + signal.SIGHUP
    return seconds


def test_a_connection_that_is_cut_saves_and_ends_the_app(
    connect: Callable[..., Terminal], home: Path
) -> None:
    cut(connect, home)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_five_connections_that_are_cut_lose_nothing(
    connect: Callable[..., Terminal],
    home: Path,
    record_property: Callable[[str, object], None],
) -> None:
    seconds = []
    for _ in range(5):
        for left in (home / "runs", home / "process", home / "status"):
            if left.is_dir():
                shutil.rmtree(left)
            left.unlink(missing_ok=True)
        seconds.append(cut(connect, home))
    figures = f"{len(seconds)} of 5 saved at the last step, most {max(seconds):.2f} s to the end"
    print(figures)
    record_property("ssh", figures)


@pytest.mark.slow
def test_a_connection_that_is_cut_can_leave_the_training_at_work(
    connect: Callable[..., Terminal], home: Path
) -> None:
    terminal = connect("--on-hangup", "continue", "--checkpoint-every", "1")
    process_id = wait_for_process(home)
    terminal.process.kill()
    for _ in moments():
        assert is_alive(process_id)
        if list((home / "runs").glob("*/train.log")):
            break
    step = max(checkpoint_steps(home / "runs"), default=0)
    for _ in moments():
        if max(checkpoint_steps(home / "runs"), default=0) > step:
            break
    os.kill(process_id, signal.SIGTERM)
    wait_until_ended(process_id)
    assert_saved_at_the_end(home / "runs", at_least=step)


# --- tmux -----------------------------------------------------------------------------------------


def test_the_app_works_in_tmux_and_saves_when_the_session_is_killed(tmux: Tmux, home: Path) -> None:
    line = app_in_a_shell(home, left_out=("TERM",))
    tmux("new-session", "-d", "-x", "80", "-y", "24", line)
    panes = ("Training", "Run", "Writing", "TRAINING", "q Quit")
    pane = tmux.wait_for(*panes, "char/s")
    assert max(len(row) for row in pane.splitlines()) == 80
    assert len(pane.rstrip("\n").splitlines()) == 24

    tmux("resize-window", "-x", "120", "-y", "40")
    pane = tmux.wait_for(*panes, "symbols")
    assert max(len(row) for row in pane.splitlines()) == 120
    assert len(pane.rstrip("\n").splitlines()) == 40

    tmux("send-keys", "+")
    tmux.wait_for("temperature 0.75")
    process_id = wait_for_process(home)
    tmux("kill-session")
    wait_until_ended(process_id)
    assert_saved_at_the_end(home / "runs", at_least=1)
