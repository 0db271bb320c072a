"""A checkpoint that somebody forged, with right checksums, is refused before PyTorch sees it (B1).

Each tensor and each value of the metadata is forged in each way; a child that has imported torch
goes on from it (and now and then generates, exports, evaluates), so that what is not refused meets
optimisers and kernels that work on raw memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forgeries
import forked
import pytest

AS_GOOD_AS_REAL = frozenset(
    {
        "run text",
        "nats_per_character huge",
        "nats_per_character endless",
        "nats_per_character null",
        "nats_per_character half",
        "best_nats_per_character half",
        "seconds half",
        "preset text",
        "training.learning_rate half",
        "training.constant_learning_rate truth",
        "training.weight_decay half",
        "training.clip half",
        "training.guard truth",
        "training.minutes null",
        "training.minutes half",
        "training.checkpoint_every half",
        "training.fresh_sample_prompts truth",
        "corpus.name text",
        "corpus.encoding null",
        "corpus.lowercase truth",
        "progress.batches.random.state.state huge",
        "progress.batches.random.state.inc huge",
        "progress.student_since absent",  # as earlier versions wrote it
        "progress.student_since null",  # as a network without a teacher has it
        "progress.validation_characters null",
        "training.teacher_share absent",
        "model.network absent",
        "training.teacher_share half",
        "progress.average_leads truth",
        "progress.guard.first null",
        *(
            f"progress.guard.{figure} {way}"
            for figure in ("first", "mean", "deviation")
            for way in ("half", "huge", "endless")
        ),
    }
)
"""Forgeries that are in order all the same: a training of ours could have written them."""
NO_SUCH_TEXT = "corpus.specification text"

LONGEST_LINE = 620


def tried(folder: Path, first: int, every: int) -> list[Any]:
    """Returns name, command, status, complaint and signal of each forgery that was tried."""
    done = subprocess.run(
        [sys.executable, str(forgeries.__file__), str(folder), str(first), str(every)],
        env=forked.environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]


@pytest.mark.parametrize(
    ("first", "every"),
    [pytest.param(5, 29, id="some"), pytest.param(0, 1, id="all", marks=pytest.mark.slow)],
)
@pytest.mark.timeout(1800)
def test_every_forged_tensor_and_value_is_refused_in_one_line(
    first: int, every: int, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    found = tried(tmp_path, first, every)
    refused = [one for one in found if one[2] == 4]
    died = [one for one in found if one[4] is not None]
    figure(
        f"forged: {len(found)} checkpoints with right checksums: {len(refused)} refused, "
        f"{len(found) - len(refused) - len(died)} as good as real, {len(died)} ended by a signal"
    )
    assert died == []
    taken = {name for name, _, status, _, _ in found if status == 0}
    assert taken <= AS_GOOD_AS_REAL, sorted(taken - AS_GOOD_AS_REAL)
    for name, command, status, complaint, _ in found:
        if status == 0:
            continue
        if name == NO_SUCH_TEXT and command in {"resume", "evaluate"}:
            assert status == 3
            continue
        assert status == 4, (name, command, status, complaint)
        assert complaint.count("\n") == 1, (name, command, complaint)
        assert len(complaint) <= LONGEST_LINE
        assert "defect" not in complaint
    assert len(refused) > len(found) * 0.9
