"""A session that writes with saved weights, or resumes a run."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from model_fixtures import TINY_MODEL, VOCABULARY, make_checkpoint, make_request, make_text, of_kind
from patience import PATIENCE
from watched_session import opened

from model.events import (
    Finished,
    Planned,
    RunStarted,
    StepFinished,
    TrainingStateChanged,
    Validated,
)
from model.session.live import SavedWeights


def test_saved_weights_say_what_they_are(weights: SavedWeights) -> None:
    with opened(weights) as watched:
        watched.until(lambda: TrainingStateChanged(state="finished") in watched.events)
        (started,) = watched.of(RunStarted)
        assert (started.run, started.vocabulary) == ("tiny", len(VOCABULARY))
        assert started.parameters == sum(v.size for v in make_checkpoint().weights().values())
        (planned,) = watched.of(Planned)
        assert (planned.hidden, planned.layers) == (TINY_MODEL.hidden, TINY_MODEL.layers)
        assert planned.first_step == 1


def test_a_resumed_run_shows_its_curve_so_far(tmp_path: Path) -> None:
    with opened(make_request(tmp_path)) as watched:
        watched.until_event(Finished)
        first = watched.of(Validated)
    with opened(make_request(tmp_path, resume=True, overrides={"epochs": 3})) as watched:
        watched.until_event(Finished)
        started = watched.events.index(watched.of(RunStarted)[0])
        shown = of_kind(watched.events[:started], Validated)
        assert [event.step for event in shown] == [event.step for event in first]
        assert of_kind(watched.events[:started], StepFinished)
        assert watched.of(StepFinished)[-1].step == 45


def run_script(code: str, *arguments: str) -> None:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=2 * PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr


WAIT = (
    f"    PATIENCE = {PATIENCE}"
    """
    import sys, threading, time
    from pathlib import Path
    from model.config import ModelConfig, SamplingConfig, TrainingConfig
    from model.events import CharacterWritten, Finished
    from model.session.live import LiveSession, SavedWeights
    from model.runs.request import RunRequest

    def wait_for(session, kind, count):
        deadline, found = time.monotonic() + PATIENCE, 0
        while found < count:
            assert time.monotonic() < deadline, f"no {kind.__name__}"
            found += sum(isinstance(event, kind) for event in session.poll())
            time.sleep(0.005)
"""
)


def test_writing_with_saved_weights_never_imports_torch(weights: SavedWeights) -> None:
    run_script(
        WAIT
        + """
    session = LiveSession(
        SavedWeights(path=Path(sys.argv[1])), sampling=SamplingConfig(), rate=1000.0
    )
    session.start()
    wait_for(session, CharacterWritten, 100)
    assert session.close()
    assert "torch" not in sys.modules
    """,
        str(weights.path),
    )


@pytest.mark.parametrize("resume", [True, False])
def test_it_writes_while_torch_is_being_imported(resume: bool, tmp_path: Path) -> None:
    if resume:
        with opened(make_request(tmp_path, epochs=1)) as watched:
            watched.until_event(Finished)
    else:
        (tmp_path / "text.txt").write_text(make_text(), encoding="utf-8")
    run_script(
        WAIT
        + """
    import importlib.machinery
    may_import = threading.Event()

    class Slow:
        # Torch waits in its own code: while a module is looked for, all other imports wait.
        def find_spec(self, name, path=None, target=None):
            if name != "torch":
                return None
            spec = importlib.machinery.PathFinder.find_spec(name, path, target)
            execute = spec.loader.exec_module
            spec.loader.exec_module = lambda module: may_import.wait(PATIENCE) and execute(module)
            return spec

    sys.meta_path.insert(0, Slow())
    folder, resume = Path(sys.argv[1]), sys.argv[2] == "True"
    request = RunRequest(
        corpus=None if resume else str(folder / "text.txt"), preset="quick",
        model=ModelConfig(hidden=8, embedding=4),
        training=TrainingConfig(
            batch=4, sequence=16, epochs=2, threads=1, device="cpu", precision="fp32",
            sample_length=2,
        ),
        root=folder / "runs", run="tiny", resume=resume, overrides={"epochs": 2} if resume else {},
    )
    session = LiveSession(request, sampling=SamplingConfig(), rate=1000.0)
    session.start()
    wait_for(session, CharacterWritten, 50)
    assert not hasattr(sys.modules.get("torch"), "nn")
    may_import.set()
    wait_for(session, Finished, 1)
    assert session.close()
    """,
        str(tmp_path),
        str(resume),
    )
