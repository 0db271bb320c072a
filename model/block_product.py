"""A block product of bfloat16 matrices for compiled code to call: PyTorch's, or ours. NumPy, Numba.

A product of one time step takes a processor with a matrix unit (AMX) some microseconds; asked for
from Python it takes several times as long, for the interpreter and for PyTorch's dispatch. The
library hands out what its own attention is made of, oneDNN's ``brgemm``, as a C++ function. Its
name there spells out the types of its arguments, so that a function of that name takes them. The
library is loaded for it in a fraction of the time that importing torch takes. A processor without
the unit, but with products of pairs, has `model.pair_product`; where there is neither,
`block_product` says so and others do without.
"""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.compiled import Kernel
from model.native_calls import multiply_in_blocks, release
from model.pair_product import SPARE
from model.processor import CAN_PAIR

Addresses = npt.NDArray[np.int64]
"""[2]: where the product and its end lie in memory, for ``model.native_calls``; zeros: it is
`model.pair_product`."""

_NAMESPACE = "_ZN2at6native7cpublas"
_COULD_PACK = f"{_NAMESPACE}10could_packEN3c1010ScalarTypeE"
_PRODUCT = f"{_NAMESPACE}6brgemmEllllllbPKN3c108BFloat16ES5_Pfb"
_RELEASE = f"{_NAMESPACE}14brgemm_releaseEb"
_BFLOAT16 = 15
"""PyTorch's number of the type."""


@lru_cache(maxsize=1)
def block_product() -> Addresses | None:
    """Returns where the product is; None where this machine has no such product."""
    found = _found()
    if found is None and CAN_PAIR:
        found = np.zeros(2, np.int64)
    if found is None:
        return None
    one, two = np.uint16(0x3F80), np.uint16(0x4000)  # as bfloat16
    left, right = np.full((2, 4), one), np.full((2, 16, 2), two)
    out = np.zeros((2, 16), np.float32)
    _one_product.prepare(found, left, right, out)
    return found if (out == 8).all() else None


def columns_for(columns: int, product: Addresses) -> int:
    """Returns how many columns to make the right matrix for so many: ours wants no power of two."""
    return columns if product[0] else columns + SPARE


def _found() -> Addresses | None:
    """Returns the addresses in PyTorch's library, if the processor has what they need."""
    name = {"linux": "libtorch_cpu.so", "darwin": "libtorch_cpu.dylib"}.get(sys.platform)
    torch = find_spec("torch")
    if name is None or torch is None or torch.origin is None:
        return None
    try:
        library = ctypes.CDLL(str(Path(torch.origin).parent / "lib" / name))
        could_pack = getattr(library, _COULD_PACK)
        functions = [getattr(library, _PRODUCT), getattr(library, _RELEASE)]
    except (OSError, AttributeError):
        return None
    could_pack.restype, could_pack.argtypes = ctypes.c_bool, [ctypes.c_int8]
    if not could_pack(_BFLOAT16):
        return None
    return np.array([ctypes.cast(one, ctypes.c_void_p).value for one in functions], np.int64)


@Kernel
def _one_product(product: Addresses, left: Any, right: Any, out: Any) -> None:
    (m, k), (n, wide) = left.shape, (out.shape[1], right.shape[1])
    data = left.ctypes.data, right.ctypes.data, out.ctypes.data
    multiply_in_blocks(product[0], m, n, k, data[0], data[1], wide, data[2])
    release(product[1])
