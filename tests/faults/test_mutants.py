"""Whether the tests notice small faults: each mutant must fail the tests that it names."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest
from mutants import MUTANTS
from mutation import FAILED, PASSED, ROOT, CopiedTree, Mutant

LEAST = 40
AT_ONCE = 2
"""Copies of the tree that are tested side by side."""


def names_in(path: Path) -> set[str]:
    """The test functions of a file."""
    found = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.name for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_there_are_enough_mutants_and_each_has_a_name() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names) >= LEAST


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_can_be_made_of_todays_source(mutant: Mutant) -> None:
    """Else the list would rot: what it changed is not there any more."""
    changed = mutant.applied((ROOT / mutant.file).read_text(encoding="utf-8"))
    ast.parse(changed)
    assert mutant.new != mutant.old
    assert mutant.tests
    for test in mutant.tests:
        file, _, name = test.partition("::")
        assert not name or name.partition("[")[0] in names_in(ROOT / file)
        assert (ROOT / file).is_file()


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_the_tests_catch_every_mutant(tmp_path: Path, figure: Callable[[str], None]) -> None:
    began = time.monotonic()
    trees: SimpleQueue[CopiedTree] = SimpleQueue()
    for number in range(AT_ONCE):
        tree = CopiedTree(tmp_path / f"copy-{number}")
        assert tree.imports_itself()
        trees.put(tree)
    healthy = trees.get()
    whole = healthy.run(sorted({test for mutant in MUTANTS for test in mutant.tests}))
    assert whole.returncode == PASSED, f"a test fails without any mutant:\n{whole.stdout[-3000:]}"
    trees.put(healthy)

    def outcome(mutant: Mutant) -> str | None:
        tree = trees.get()
        try:
            with tree.with_mutant(mutant):
                done = tree.run(mutant.tests)
        finally:
            trees.put(tree)
        return None if done.returncode == FAILED else f"{mutant.name}: {done.stdout[-500:]}"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        missed = [sentence for sentence in pool.map(outcome, MUTANTS) if sentence is not None]
    minutes = (time.monotonic() - began) / 60
    caught = len(MUTANTS) - len(missed)
    figure(f"mutants: {caught} of {len(MUTANTS)} caught in {minutes:.1f} minutes")
    assert not missed, "\n\n".join(missed)
