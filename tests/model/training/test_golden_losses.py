"""The losses of small trainings, as they were when the recipe was last changed on purpose.

What changes a loss (an initialisation, a mask, an order of batches, a schedule) is seen here even
where the model still learns. After a change that is meant, write the file anew:

    PYTHONPATH=tests/support:. python tests/model/training/test_golden_losses.py

Processors round differently, so losses may differ by what rounding grows to in so many steps.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from model_fixtures import make_request, make_text, of_kind

from model.config import ModelConfig
from model.events import StepFinished
from model.presets import PRESETS
from model.training.controls import TrainingControls
from model.training.training_run import TrainingRun

GOLDEN = Path(__file__).with_name("golden_losses.json")
STEPS = 80
RELATIVE_TOLERANCE = 2e-4
RECIPES = {
    "quality": {"batch": 8, "sequence": 32, "warmup_steps": 20},
    "notebook": {"batch": 16},
}
THREADS = (1, 2)


def losses(recipe: str, threads: int, folder: Path) -> list[float]:
    """Returns the training loss of each step, in nats a character."""
    preset = PRESETS[recipe]
    asked = {
        **{
            field.name: getattr(preset.training, field.name)
            for field in dataclasses.fields(preset.training)
        },
        **RECIPES[recipe],
        "device": "cpu",
        "precision": "fp32",
        "threads": threads,
        "seed": 3,
        "epochs": 100,
    }
    model = ModelConfig(
        hidden=24, embedding=min(8, preset.model.embedding), dropout=preset.model.dropout
    )
    request = make_request(folder, text=make_text(6000), model=model, **asked)
    controls = TrainingControls()
    found: list[float] = []
    for event in TrainingRun(request, controls).events():
        found += [step.loss for step in of_kind([event], StepFinished)]
        if len(found) == STEPS:
            controls.stop(hurry=True)
    return found[:STEPS]


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_losses_of_a_recipe_are_those_of_its_golden_file(
    recipe: str, threads: int, tmp_path: Path
) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))[f"{recipe}, {threads} threads"]
    found = losses(recipe, threads, tmp_path)
    assert len(found) == len(golden) == STEPS
    assert found == pytest.approx(golden, rel=RELATIVE_TOLERANCE)
    assert found[-1] < found[0], "and it learns"


def write_anew() -> None:
    """Writes the golden file."""
    found = {}
    for recipe in RECIPES:
        for threads in THREADS:
            with tempfile.TemporaryDirectory() as folder:
                made = losses(recipe, threads, Path(folder))
            found[f"{recipe}, {threads} threads"] = [round(loss, 7) for loss in made]
    GOLDEN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_anew()
