"""`export`: what is handed on loads elsewhere, gives the same text here, and is refused if hurt."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from model_fixtures import TEXT, TINY_MODEL, VOCABULARY, make_checkpoint, random_weights
from torch import nn

from model.config import ModelConfig
from model.runs.checkpoint import Checkpoint
from model.runs.checkpoint_file import read_checkpoint
from model.runs.checkpoint_form import AVERAGE_PREFIX
from model.runs.export import export
from model.runs.folder import RunFolder
from model.steppers.numpy_lstm import LstmStepper
from tui.cli.main import run

SHAPES = [TINY_MODEL, ModelConfig(hidden=6, layers=2, embedding=0)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run whose best checkpoint is the first of two."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHARLM_CHECKPOINTS", raising=False)
    folder = RunFolder.create(tmp_path / "checkpoints", "tiny", fallback_name="tiny")
    folder.write_description({"run": "tiny"})
    folder.checkpoints.save(make_checkpoint(1, nats=2.0, best_nats=2.0, seed=1))
    folder.checkpoints.save(make_checkpoint(2, nats=2.5, best_nats=2.0, seed=2))
    folder.unlock()
    return tmp_path


class Plain(nn.Module):
    """What somebody would build from the table in docs/exchange.md."""

    def __init__(self, model: ModelConfig, size: int) -> None:
        super().__init__()
        if model.embedding:
            self.embedding = nn.Embedding(size, model.embedding)
        self.lstm = nn.LSTM(model.embedding or size, model.hidden, model.layers)
        self.head = nn.Linear(model.hidden, size)
        self.size = size

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        one_hot = nn.functional.one_hot(ids, self.size).float()
        inputs = self.embedding(ids) if hasattr(self, "embedding") else one_hot
        logits: torch.Tensor = self.head(self.lstm(inputs)[0])
        return logits


@pytest.mark.parametrize("model", SHAPES, ids=["embedding", "two one-hot layers"])
def test_a_plain_lstm_gives_the_logits_of_the_program(model: ModelConfig, tmp_path: Path) -> None:
    path = tmp_path / "out.safetensors"
    export(make_checkpoint(model=model, seed=3), path)
    plain = Plain(model, len(VOCABULARY))
    weights = safetensors.torch.load_file(path)
    plain.load_state_dict(weights)
    prefix = "lstm."
    lstm = nn.LSTM(model.embedding or len(VOCABULARY), model.hidden, model.layers)
    lstm.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if prefix in k})
    ids = VOCABULARY.encode(TEXT[:40]).astype(np.int64)
    with torch.no_grad():
        theirs = plain(torch.from_numpy(ids)[:, None])[:, 0].numpy()
    kernel = LstmStepper(read_checkpoint(path).snapshot())
    ours = np.array([kernel.prime([int(symbol)]).copy() for symbol in ids])
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_the_best_weights_are_exported_and_the_card_says_what_they_are(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", "tiny"]) == 0
    assert "wrote tiny.safetensors and tiny.json: step 1, 2.0000 nats" in capsys.readouterr().out
    exported = read_checkpoint(home / "tiny.safetensors")
    best = make_checkpoint(1, seed=1)
    assert exported.weights().keys() == best.weights().keys()
    assert all(np.array_equal(exported.weights()[n], w) for n, w in best.weights().items())
    card = json.loads((home / "tiny.json").read_text(encoding="utf-8"))
    assert card["vocabulary"] == "".join(VOCABULARY.symbols)
    assert (card["nats_per_character"], card["step"], card["file"]) == (2.0, 1, "tiny.safetensors")
    assert (card["corpus"]["name"], card["model"]["hidden"]) == ("text.txt", TINY_MODEL.hidden)
    assert card["tensors"]["lstm.weight_hh_l0"] == [32, 8]


def test_neither_optimiser_nor_paths_are_handed_on(tmp_path: Path) -> None:
    made = make_checkpoint()
    source = dataclasses.replace(made.metadata.source, specification="/home/somebody/text.txt")
    tensors: dict[str, Any] = {**made.tensors, "optimiser.head.bias.exp_avg": np.zeros(3)}
    metadata = dataclasses.replace(made.metadata, source=source, progress={"seed": "secret"})
    path = tmp_path / "out.safetensors"
    card = export(Checkpoint(metadata=metadata, tensors=tensors), path)
    for content in (path.read_bytes(), card.read_bytes()):
        assert all(word not in content for word in (b"somebody", b"optimiser.head", b"secret"))


def test_averaged_weights_are_exported_where_they_lead(tmp_path: Path) -> None:
    made = make_checkpoint()
    averaged = random_weights(seed=9)
    tensors = {**made.tensors, **{AVERAGE_PREFIX + name: w for name, w in averaged.items()}}
    metadata = dataclasses.replace(made.metadata, progress={"average_leads": True})
    export(Checkpoint(metadata=metadata, tensors=tensors), tmp_path / "out.safetensors")
    found = read_checkpoint(tmp_path / "out.safetensors").best_weights()
    assert all(np.array_equal(found[name], weight) for name, weight in averaged.items())


@pytest.mark.parametrize("option", ["--output=no/a.safetensors", "--page=no/a.html"])
def test_a_folder_that_is_missing_is_named(
    option: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", "tiny", option]) == 2
    assert "its folder does not exist; make the folder, or name an" in capsys.readouterr().err
    assert [path.name for path in home.iterdir()] == ["checkpoints"]


def test_files_that_are_there_are_left_alone_unless_forced(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for taken in ("tiny.safetensors", "tiny.json"):
        (home / taken).write_text("mine")
        assert run(["export", "tiny"]) == 2
        assert f"{taken}: is there already; give --force" in capsys.readouterr().err
        assert (home / taken).read_text() == "mine"
        assert sorted(p.name for p in home.iterdir()) == sorted(["checkpoints", taken])
        assert run(["export", "tiny", "--force"]) == 0
        (home / "tiny.safetensors").unlink()
        (home / "tiny.json").unlink()
    assert run(["export", "tiny", "--output", "card.json"]) == 2


def test_an_exported_file_writes_and_is_scored_like_the_run(
    home: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(["export", "tiny", "--output", "out"]) == 0
    assert (home / "out.json").exists()
    capsysbinary.readouterr()
    texts, scores = [], []
    (home / "text.txt").write_text(TEXT)
    for which in (["--run", "tiny"], ["--checkpoint", "out"]):
        assert run(["generate", *which, "--length", "50", "--seed", "1"]) == 0
        texts.append(capsysbinary.readouterr().out)
        assert run(["evaluate", "text.txt", *which, "--json"]) == 0
        scores.append(json.loads(capsysbinary.readouterr().out)["nats_per_character"])
    assert texts[0] == texts[1]
    assert scores[0] == scores[1]


def test_a_damaged_export_is_refused_like_a_checkpoint(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", "tiny"]) == 0
    path = home / "tiny.safetensors"
    whole = path.read_bytes()
    for place in (3, whole.index(b"nats_per"), len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert run(["generate", "--checkpoint", str(path)]) == 4, place
    path.write_bytes(whole[:-7])
    assert run(["generate", "--checkpoint", str(path)]) == 4
    assert "tiny.safetensors" in capsys.readouterr().err


# --- where it is written --------------------------------------------------------------------------


def make_odd(kind: str, path: Path) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        path.symlink_to({"link": "thesis", "dangling": "gone", "device": os.devnull}[kind])


@pytest.mark.parametrize("kind", ["pipe", "folder", "socket", "link", "dangling", "device"])
@pytest.mark.parametrize("of", ["out.safetensors", "out.json"])
def test_what_is_no_regular_file_is_never_replaced(
    kind: str, of: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """C12: --force replaced a device or a pipe by a file."""
    (home / "thesis").write_text("mine")
    make_odd(kind, home / of)
    before = os.lstat(home / of)
    for force in ([], ["--force"]):
        assert run(["export", "tiny", "--output", "out.safetensors", *force]) == 2
        complaint = capsys.readouterr().err
        assert complaint.startswith(f"charlm-tui: {of}: is a ")
        assert complaint.endswith("; name another --output\n")
    assert os.path.samestat(os.lstat(home / of), before)
    assert (home / "thesis").read_text() == "mine"
    assert not (home / "gone").exists()
    assert {path.name for path in home.iterdir()} == {"checkpoints", "thesis", of}


def test_a_device_itself_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "tiny", "--output", os.devnull, "--force"]) == 2
    assert f"{os.devnull}: is a device, not a regular file" in capsys.readouterr().err
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize("place", [".", "/"])
def test_a_folder_without_a_name_is_refused(
    place: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """C12: `--output .` was a defect."""
    assert run(["export", "tiny", "--output", place, "--force"]) == 2
    assert "is a folder, not a file; name a .safetensors file" in capsys.readouterr().err
    assert [path.name for path in home.iterdir()] == ["checkpoints"]


@pytest.mark.parametrize("name", ["run", "step-{step:08d}"])
def test_a_file_of_a_run_is_never_replaced_by_an_export(
    name: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """C12: --force replaced `run.json` by a card, and a checkpoint by its bare weights."""
    folder = home / "checkpoints" / "tiny"
    checkpoint = RunFolder(folder).checkpoints.saved(lambda _: None)[-1]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    output = folder / f"{name.format(step=checkpoint.metadata.step)}.safetensors"
    assert run(["export", "tiny", "--output", str(output), "--force"]) == 2
    assert "is a run's own file; name another --output" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert run(["export", "tiny", "--output", str(folder / "best.safetensors")]) == 0


def test_a_run_with_the_longest_name_says_that_its_export_needs_another(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "x" * 255
    (home / "checkpoints" / "tiny").rename(home / "checkpoints" / name)
    assert run(["export", name]) == 5
    assert capsys.readouterr().err.endswith("File name too long; give a shorter name\n")


def test_an_empty_name_is_no_text_to_evaluate(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was scored as the whole text of the run."""
    (home / "text.txt").write_text(TEXT)
    assert run(["evaluate", "", "--run", "tiny"]) == 3
    assert "CORPUS: the name is empty" in capsys.readouterr().err


def test_standard_output_is_no_file_to_export_to(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", "tiny", "--output", "-"]) == 2
    assert "--output: - is not a file, and two files are written" in capsys.readouterr().err
    assert not (home / "-").exists()


@pytest.mark.parametrize("length", [247, 250, 251, 255])
@pytest.mark.parametrize("letter", ["x", "é"])
@pytest.mark.parametrize("suffix", ["", ".safetensors", ".bin"])
def test_any_legal_name_is_taken(
    suffix: str, letter: str, length: int, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stem = letter * ((length - len(suffix)) // len(letter.encode()))
    name = stem + suffix + "y" * (length - len((stem + suffix).encode())) * (not suffix)
    for force in ([], ["--force"]):
        assert run(["export", "tiny", "--output", name, *force]) == 0, capsys.readouterr().err
    names = {path.name for path in home.iterdir()} - {"checkpoints", name}
    (card,) = names
    assert len(card.encode()) <= 255
    assert card.endswith(".json")
    assert read_checkpoint(home / name).metadata.step == 1


@pytest.mark.parametrize("place", ["x" * 256, "file/out"])
def test_an_error_of_the_file_system_names_no_temporary(
    place: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "file").write_text("")
    assert run(["export", "tiny", "--output", place]) == 5
    complaint = capsys.readouterr().err
    assert complaint.startswith(f"charlm-tui: {place}")
    assert ".charlm-" not in complaint
    assert ".tmp" not in complaint


def test_a_run_whose_folder_was_renamed_is_found_by_every_command(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """C8."""
    (home / "text").write_text(TEXT)
    for name in ("my run", "実験", "-flag", "x" * 240):
        next((home / "checkpoints").iterdir()).rename(home / "checkpoints" / name)
        assert run(["runs", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["run"] == name
        assert run(["generate", "--run", name, "--length", "5"]) == 0
        assert run(["evaluate", "text", "--run", name, "--json"]) == 0
        assert run(["export", "--output", "out.safetensors", "--force", "--", name]) == 0
        capsys.readouterr()
    for name in ("..", "../checkpoints", "x" * 240 + "/"):
        assert run(["generate", "--run", name, "--length", "5"]) == 2
        assert "cannot name a run" in capsys.readouterr().err
