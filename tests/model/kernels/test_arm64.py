"""The register block and the cell compile for arm64, to NEON's fused multiply-adds."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import pytest
from llvmlite import ir

from model.kernels import dtypes, lstm_cell, microkernel, normalised_cell

TRIPLE = "aarch64-unknown-linux-gnu"
WAYS = ("decoding", "forward", "backward")
LANES = 4
"""Float32 of a NEON register."""


def assembly(generate: Callable[[Any, tuple[Any, ...]], None], arguments: int) -> str:
    """Returns the assembly for arm64 of a function that takes int64, and its generated body."""
    module = ir.Module(name="kernel")
    module.triple = TRIPLE
    kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * arguments)
    function = ir.Function(module, kind, "kernel")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    generate(builder, tuple(function.args))
    builder.ret_void()
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(TRIPLE).create_target_machine(opt=3, features="+neon")
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    return str(machine.emit_assembly(parsed))


@pytest.fixture(autouse=True)
def neon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets the constants of the SIMD level ``neon``."""
    for module in (lstm_cell, microkernel):
        monkeypatch.setattr(module, "LANES", LANES)
    for module in (dtypes, microkernel):
        monkeypatch.setattr(module, "HAS_BFLOAT16", False)


@pytest.mark.parametrize("numbers", ["float32", "pairs"])
def test_a_register_block_is_made_of_fused_multiply_adds(numbers: Any) -> None:
    rows = 12

    def generate(builder: Any, arguments: tuple[Any, ...]) -> None:
        microkernel._generate_block(builder, arguments, numbers, rows, 1, adds=False)

    text = assembly(generate, 7)
    products = rows * microkernel.VECTORS_PER_PANEL * (2 if numbers == "pairs" else 1)
    assert text.count("fmla") == products
    stores = rows * microkernel.VECTORS_PER_PANEL
    assert text.count("fmla\tv") >= stores, "the sums are vectors"


@pytest.mark.parametrize("numbers", ["float32", "pairs"])
@pytest.mark.parametrize(
    ("generate", "arguments", "polynomials", "divisions"),
    [
        (lstm_cell._generate_decoding, 8, 4, 2),
        (partial(lstm_cell._generate_forward, inputs="float32"), 12, 4, 2),
        (lstm_cell._generate_backward, 8, 1, 1),
        (normalised_cell._generate_decoding, 10, 4, 2),
        (normalised_cell._generate_forward, 12, 4, 2),
        (normalised_cell._generate_backward, 16, 5, 2),
    ],
    ids=["decoding", "forward", "backward", *(f"normalised {way}" for way in WAYS)],
)
def test_a_step_of_the_cell_is_vectors(
    generate: Callable[..., None], arguments: int, polynomials: int, divisions: int, numbers: Any
) -> None:
    def generate_all(builder: Any, values: tuple[Any, ...]) -> None:
        generate(builder, *values, numbers=numbers)

    text = assembly(generate_all, arguments)
    fused = re.findall(r"fmla\tv\d+\.4s", text)
    assert len(fused) >= 8 * polynomials, "of hyperbolic tangents"
    assert len(re.findall(r"fdiv\tv\d+\.4s", text)) == divisions
