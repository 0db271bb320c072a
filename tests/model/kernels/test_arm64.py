"""The register block and the cell compile for arm64, to NEON's fused multiply-adds."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import pytest
from llvmlite import ir
from numba import types

from model.kernels import cell_step, dtypes, microkernel, vecmath
from model.kernels.cell_step import DecodingNorm, Norm
from model.kernels.ir import View

TRIPLE = "aarch64-unknown-linux-gnu"
LANES = 4
"""Float32 of a NEON register."""
DIMENSIONS = {
    "input_gates": 2,
    "ids": 2,
    "bias": 1,
    "recurrent_gates": 2,
    "gates": 3,
    "cells": 3,
    "hiddens": 3,
    "d_outputs": 3,
    "d_recurrent": 2,
    "d_cell": 2,
    "d_normalised": 2,
    "sums": 1,
    "added": 2,
    "rows": 1,
    "cell": 3,
    "operands": 2,
}
"""Of the arrays that a step of the cell takes, by their names; the other arguments are int64."""
NORMS = {
    Norm: {"gain": 1, "bias": 1, "scales": 4, "shared": 2, "d_gain": 1, "d_bias": 1},
    DecodingNorm: {"gains": 2, "biases": 2, "scales": 2, "shared": 2},
}
IN_NUMBERS = {"gates", "hiddens", "operands"}
"""Arrays of the numbers that are multiplied."""


def assembly(generate: Callable[[Any, Iterator[Any]], None]) -> str:
    """Returns the assembly for arm64 of a function that takes int64, and its generated body."""
    module = ir.Module(name="kernel")
    module.triple = TRIPLE
    kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * 200)
    function = ir.Function(module, kind, "kernel")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    generate(builder, iter(function.args))
    builder.ret_void()
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(TRIPLE).create_target_machine(opt=3, features="+neon")
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    return str(machine.emit_assembly(parsed))


def view(builder: Any, values: Iterator[Any], dimensions: int, dtype: Any) -> View:
    """Returns an array whose address, shape and strides are arguments of the function."""
    address, *sizes = (next(values) for _ in range(1 + 2 * dimensions))
    return View(builder, address, sizes[:dimensions], sizes[dimensions:], dtype)


def arguments_of(
    generate: Callable[..., None], builder: Any, values: Iterator[Any], numbers: Any, norm: Any
) -> Iterator[Any]:
    """Yields the arguments of a step of the cell."""
    for name in list(inspect.signature(generate).parameters)[1:]:
        if name == "norm":
            fields = NORMS[norm].items() if norm else ()
            arrays = {field: view(builder, values, count, types.float32) for field, count in fields}
            yield norm(epsilon=None, **arrays) if norm else None
        elif name == "outs":
            yield [[next(values) for _ in range(3)] for _ in range(2)]
        elif name in DIMENSIONS:
            dtype = types.int64 if name in {"ids", "rows"} else types.float32
            yield view(builder, values, DIMENSIONS[name], numbers if name in IN_NUMBERS else dtype)
        else:
            yield next(values)


@pytest.fixture(autouse=True)
def neon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets the constants of the SIMD level ``neon``."""
    for module in (vecmath, microkernel):
        monkeypatch.setattr(module, "LANES", LANES)
    for module in (dtypes, microkernel):
        monkeypatch.setattr(module, "HAS_BFLOAT16", False)


both_numbers = pytest.mark.parametrize("numbers", [types.float32, types.uint16], ids=str)


@both_numbers
def test_a_register_block_is_made_of_fused_multiply_adds(numbers: Any) -> None:
    rows = 12

    def generate(builder: Any, values: Iterator[Any]) -> None:
        microkernel.generate_block(numbers, rows, 1, builder, *(next(values) for _ in range(8)))

    text = assembly(generate)
    products = rows * microkernel.VECTORS_PER_PANEL * (2 if numbers == types.uint16 else 1)
    assert text.count("fmla") == products
    stores = rows * microkernel.VECTORS_PER_PANEL
    assert text.count("fmla\tv") >= stores, "the sums are vectors"


@both_numbers
@pytest.mark.parametrize(
    ("generate", "norm", "polynomials", "divisions"),
    [
        (cell_step.generate_decoding, None, 4, 2),
        (cell_step.generate_forward, None, 4, 2),
        (cell_step.generate_backward, None, 1, 1),
        (cell_step.generate_decoding, DecodingNorm, 4, 2),
        (cell_step.generate_forward, Norm, 4, 2),
        (cell_step.generate_backward, Norm, 5, 2),
    ],
)
def test_a_step_of_the_cell_is_vectors(
    generate: Callable[..., None], norm: Any, polynomials: int, divisions: int, numbers: Any
) -> None:
    def generate_all(builder: Any, values: Iterator[Any]) -> None:
        generate(builder, *arguments_of(generate, builder, values, numbers, norm))

    text = assembly(generate_all)
    fused = re.findall(r"fmla\tv\d+\.4s", text)
    assert len(fused) >= 8 * polynomials, "of hyperbolic tangents"
    assert len(re.findall(r"fdiv\tv\d+\.4s", text)) == divisions
