"""What ``generate`` reports of constraints: on standard error, and in JSON."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from model.constraint_config import Constraints
from tui.cli.generation import WrittenText
from tui.sanitise import one_line


def figures_of(constraints: Constraints, written: WrittenText) -> list[str]:
    """Returns the words of what the constraints cost a text."""
    words = []
    if written.mask_bits is not None and (constraints.forbid or constraints.allow):
        letters = f"no {one_line(constraints.forbid, 20)} " if constraints.forbid else ""
        letters += f"only {one_line(constraints.allow, 30)} " if constraints.allow else ""
        words.append(f"{letters}{written.mask_bits:+.2f} bits")
    if constraints.has_line_rules:
        costs = [line.cost for line in written.drafted if line.cost is not None]
        fitting = sum(line.kept > 0 for line in written.drafted)
        words.append(f"{fitting} of {len(written.drafted)} lines fit")
        if costs:
            drafts = sum(line.drafts for line in written.drafted)
            kept = sum(line.kept for line in written.drafted)
            words.append(f"kept {kept:,} of {drafts:,} drafts, cost {fmean(costs):+.2f} bits")
    return words


def constraints_record(constraints: Constraints, written: WrittenText) -> dict[str, Any]:
    """Returns the keys of JSON that a text without constraints lacks."""
    if constraints.is_empty:
        return {}
    has_mask = constraints.forbid or constraints.allow
    return {
        "constraints": {name: words for name, words in constraints.words().items() if words},
        "mask_bits": written.mask_bits if has_mask else None,
        "lines": [
            {"kept": line.kept, "drafts": line.drafts, "cost_bits": line.cost}
            for line in written.drafted
        ],
    }
