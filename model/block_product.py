"""PyTorch's block product of bfloat16 matrices, for compiled code to call. PyTorch, Numba.

A product of one time step takes a processor with a matrix unit (AMX) some microseconds; asked for
from Python it takes several times as long, for the interpreter and for PyTorch's dispatch. The
library hands out what its own attention is made of, oneDNN's ``brgemm``, as a C++ function. Its
name there spells out the types of its arguments, so that a function of that name takes them. Where
there is none, or no matrix unit, `block_product` says so and the layer does without.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic
from torch import Tensor

from model.compiled import Kernel

Addresses = npt.NDArray[np.int64]
"""[2]: where the product and its end lie in memory."""

_NAMESPACE = "_ZN2at6native7cpublas"
_COULD_PACK = f"{_NAMESPACE}10could_packEN3c1010ScalarTypeE"
_PRODUCT = f"{_NAMESPACE}6brgemmEllllllbPKN3c108BFloat16ES5_Pfb"
_RELEASE = f"{_NAMESPACE}14brgemm_releaseEb"
_BFLOAT16 = 15
"""PyTorch's number of the type."""
_INTEGER, _TRUTH = ir.IntType(64), ir.IntType(8)
_POINTER = ir.IntType(8).as_pointer()


def packed(matrix: Tensor) -> Tensor:
    """Returns [K / 2, N, 2] of a bfloat16 [K, N], K even: the order that the matrix unit reads."""
    rows, columns = matrix.shape
    return matrix.reshape(rows // 2, 2, columns).transpose(1, 2).contiguous()


@lru_cache(maxsize=1)
def block_product() -> Addresses | None:
    """Returns what `multiply` and `release` want; None where this machine has no such product."""
    found = _found()
    if found is None:
        return None
    left, right = torch.eye(2, 4).bfloat16(), torch.arange(64).view(4, 16).bfloat16()
    out = torch.zeros(2, 16)
    bits = (left.view(torch.uint16).numpy(), packed(right).view(torch.uint16).numpy())
    _one_product.prepare(found, *bits, out.numpy())
    return found if torch.equal(out, right[:2].float()) else None


def _found() -> Addresses | None:
    """Returns the addresses in PyTorch's library, if the processor has what they need."""
    name = {"linux": "libtorch_cpu.so", "darwin": "libtorch_cpu.dylib"}.get(sys.platform)
    if name is None:
        return None
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / name))
        could_pack = getattr(library, _COULD_PACK)
        functions = [getattr(library, _PRODUCT), getattr(library, _RELEASE)]
    except (OSError, AttributeError):
        return None
    could_pack.restype, could_pack.argtypes = ctypes.c_bool, [ctypes.c_int8]
    if not could_pack(_BFLOAT16):
        return None
    return np.array([ctypes.cast(one, ctypes.c_void_p).value for one in functions], np.int64)


def _call(builder: Any, address: Any, takes: list[Any], values: list[Any]) -> None:
    """Has compiled code call a C++ function that returns nothing."""
    function = ir.FunctionType(ir.VoidType(), takes).as_pointer()
    builder.call(builder.inttoptr(address, function), values)


def _multiply(_: Any, address: Any, m: Any, n: Any, k: Any, left: Any, right: Any, out: Any) -> Any:  # noqa: ARG001, PLR0917
    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        address, m, n, k, *matrices = arguments
        no, yes = ir.Constant(_TRUTH, 0), ir.Constant(_TRUTH, 1)
        pointers = [builder.inttoptr(matrix, _POINTER) for matrix in matrices]
        # Rows are as long as they are wide; it adds to nothing; the right matrix is packed.
        takes = [*[_INTEGER] * 6, _TRUTH, *[_POINTER] * 3, _TRUTH]
        _call(builder, address, takes, [m, n, k, k, n, n, no, *pointers, yes])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 7), generate


def _release(_: Any, address: Any) -> Any:  # noqa: ARG001
    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        _call(builder, arguments[0], [_TRUTH], [ir.Constant(_TRUTH, 1)])
        return context.get_dummy_value()

    return types.void(types.int64), generate


multiply: Callable[..., None] = intrinsic(_multiply)
"""``multiply(address, m, n, k, left, right, out)``, for compiled code: puts ``left`` [m, k] times
``right`` [k, n], packed, into float32 ``out`` [m, n]. The first address is that of the product in
`block_product`, the others are those of numbers that lie row by row."""

release: Callable[..., None] = intrinsic(_release)
"""``release(address)``, for compiled code, after the last product: lets go of the matrix unit, for
others set it up in their own way. The address is the second in `block_product`."""


@Kernel
def _one_product(product: Addresses, left: Any, right: Any, out: Any) -> None:
    m, k = left.shape
    data = left.ctypes.data, right.ctypes.data, out.ctypes.data
    multiply(product[0], m, out.shape[1], k, data[0], data[1], data[2])
    release(product[1])
