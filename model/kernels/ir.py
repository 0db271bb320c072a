"""Building blocks of generated LLVM code: arguments, addresses, loops, vectors. llvmlite.

Generated code computes addresses itself, because for an array view Numba computes bounds, counts
references and checks for overlap.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

FLOAT: Final = ir.FloatType()
INTEGER: Final = ir.IntType(64)
WORD: Final = ir.IntType(32)
"""A pair of bfloat16: the number with the lower index is in the lower half."""
SHORT: Final = ir.IntType(16)
BYTE: Final = ir.IntType(8)

_UPPER_HALF: Final = 0xFFFF0000


for_range: Final[Any] = cgutils.for_range
"""``with for_range(builder, count) as loop``: generates a loop; ``loop.index`` is int64."""
steps: Final[Any] = cgutils.for_range_slice
"""``with steps(builder, start, stop, step) as (index, _)``: generates a loop over a range."""


@dataclass(frozen=True)
class View:
    """An array, a row or an entry, in generated code."""

    builder: Any
    address: Any
    """int64, of the first entry."""
    shape: Sequence[Any]
    """int64 each."""
    strides: Sequence[Any]
    """int64 each: bytes from one index to the next."""
    dtype: Any
    """Numba's."""

    @property
    def itemsize(self) -> int:
        """Bytes of an entry."""
        return int(self.dtype.bitwidth) // 8

    def at(self, *indices: Any) -> View:
        """Returns what the first indices, int64 each, select."""
        address = self.address
        for index, stride in zip(indices, self.strides, strict=False):
            address = self.builder.add(address, self.builder.mul(index, stride))
        shape, strides = (sizes[len(indices) :] for sizes in (self.shape, self.strides))
        return replace(self, address=address, shape=shape, strides=strides)

    def after(self, count: Any, times: int = 1) -> View:
        """Returns the view that begins ``count * times`` entries later in a row; not its shape."""
        address = moved(self.builder, self.address, count, self.itemsize * times)
        return replace(self, address=address)

    def rows(self, width: Any) -> View:
        """Returns a flat array as rows of ``width`` entries."""
        line = self.builder.mul(width, integer(self.itemsize))
        return replace(self, strides=[line, *self.strides])

    def pointer(self, kind: Any) -> Any:
        """Returns a pointer to a value of an LLVM type that begins with the first entry."""
        return pointer(self.builder, self.address, kind)

    def load(self) -> Any:
        """Returns the first entry, an int64 or a float32."""
        return self.builder.load(self.pointer(INTEGER if self.dtype == types.int64 else FLOAT))


def generated(generate: Callable[..., Any], returns: Any = types.void) -> Callable[..., Any]:
    """Returns a function for compiled code whose code is generated.

    Args:
        generate: takes a builder and the arguments: an int64 value of an integer, a float32, a
            `View` of an array, None, a tuple of these; and returns the value of the function.
        returns: Numba's type of that value.
    """

    def typed(_: Any, *kinds: Any) -> Any:
        def generate_all(context: Any, builder: Any, _: Any, values: Any) -> Any:
            pairs = zip(kinds, values, strict=True)
            value = generate(builder, *(_argument(context, builder, *pair) for pair in pairs))
            return context.get_dummy_value() if returns == types.void else value

        return returns(*kinds), generate_all

    typed.__signature__ = inspect.signature(generate)  # type: ignore[attr-defined]
    function: Callable[..., Any] = intrinsic(typed)
    return function


def _argument(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """Returns an argument of a Numba type as `generated` says."""
    if isinstance(kind, types.NoneType):
        return None
    if isinstance(kind, types.Array):
        array = make_array(kind)(context, builder, value)  # type: ignore[no-untyped-call]
        start = builder.ptrtoint(array.data, INTEGER)
        shape, strides = (
            cgutils.unpack_tuple(builder, sizes)  # type: ignore[no-untyped-call]
            for sizes in (array.shape, array.strides)
        )
        return View(builder, start, shape, strides, kind.dtype)
    if isinstance(kind, types.BaseTuple):
        fields: list[Any] = list(kind)  # type: ignore[call-overload]
        values = [builder.extract_value(value, place) for place in range(len(fields))]
        found = [_argument(context, builder, *pair) for pair in zip(fields, values, strict=True)]
        return kind.instance_class._make(found) if hasattr(kind, "instance_class") else found
    return (
        value if isinstance(kind, types.Float) else context.cast(builder, value, kind, types.int64)
    )


address = generated(lambda _, array, places: array.at(*places).address, types.int64)
"""``address(array, (i, j))``: returns the address of an entry, for compiled code."""


def integer(value: int) -> Any:
    """Returns an int64 constant."""
    return ir.Constant(INTEGER, value)


def moved(builder: Any, address: Any, distance: Any, times: int) -> Any:
    """Returns ``address + distance * times``; the distance is in bytes."""
    return builder.add(address, builder.mul(distance, integer(times)))


def pointer(builder: Any, address: Any, kind: Any) -> Any:
    """Returns an int64 address as a pointer to values of an LLVM type."""
    return builder.inttoptr(address, kind.as_pointer())


def counted_loop(
    builder: Any,
    count: Any,
    starts: Sequence[Any],
    body: Callable[..., Sequence[Any]],
    *,
    step: int = 1,
) -> Sequence[Any]:
    """Generates a loop with values that are carried from one pass to the next.

    Args:
        builder: generates after the loop when this returns.
        count: int64, at least 1; the loop ends when the passes times ``step`` reach it.
        starts: values that the first pass takes.
        body: takes the carried values, generates one pass, and returns the next values.
        step: by how much a pass lowers the count.

    Returns:
        The carried values after the last pass.
    """
    before, loop = builder.block, builder.append_basic_block("loop")
    after = builder.append_basic_block("after")
    builder.branch(loop)
    builder.position_at_end(loop)
    phis = [builder.phi(INTEGER), *(builder.phi(start.type) for start in starts)]
    nexts = body(*phis[1:])
    remaining = builder.sub(phis[0], integer(step))
    end = builder.block  # not `loop` if the body holds a loop
    for phi, start, following in zip(phis, (count, *starts), (remaining, *nexts), strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(following, end)
    builder.cbranch(builder.icmp_signed(">", remaining, integer(0)), loop, after)
    builder.position_at_end(after)
    return nexts


def broadcast(builder: Any, number: Any, kind: Any) -> Any:
    """Returns a vector of type ``kind`` with the number in every lane."""
    undefined = ir.Constant(kind, ir.Undefined)
    first_lane = ir.Constant(ir.VectorType(WORD, kind.count), [0] * kind.count)
    one = builder.insert_element(undefined, number, ir.Constant(WORD, 0))
    return builder.shuffle_vector(one, undefined, first_lane)


def generate_multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Generates ``a * b + c`` of float32 or vectors of them, rounded once (twice with SSE2)."""
    kind = c.type
    lanes = f"v{kind.count}" if isinstance(kind, ir.VectorType) else ""
    function = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
        builder.module, ir.FunctionType(kind, [kind] * 3), f"llvm.fmuladd.{lanes}f32"
    )
    return builder.call(function, [a, b, c])


def unpack_bfloat16(builder: Any, pairs: Any) -> list[Any]:
    """Returns a vector of pairs as two vectors of float32: the lower halves, the upper halves.

    A bfloat16 is the upper half of the float32 with the same value.
    """
    kind = ir.VectorType(FLOAT, pairs.type.count)
    bits, mask = (ir.Constant(pairs.type, [word] * kind.count) for word in (16, _UPPER_HALF))
    halves = builder.shl(pairs, bits), builder.and_(pairs, mask)
    return [builder.bitcast(half, kind) for half in halves]
