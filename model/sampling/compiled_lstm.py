"""Decoders of S streams in compiled code. NumPy, Numba.

They take over the state of ``model.sampling.sampler``. The kernel is ``model.kernels.decode``; this
module packs weights and state for it, and chooses the number of threads. Letters: S streams, V
vocabulary, H hidden, L layers, N characters, K inner indices.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model.compute.team import Arrivals, Team, thread_counts
from model.config import NORM_EPSILON, SamplingConfig
from model.constraints.letters import Allowed
from model.kernels.cell_step import DecodingNorm
from model.kernels.cpu import HAS_AMX, HAS_BFLOAT16
from model.kernels.decode import MANY_STREAMS, decode_block, unit_range, units_per_block
from model.kernels.dtypes import Array, to_bfloat16
from model.kernels.gumbel import draw_block
from model.kernels.packing import PANEL, aligned, pack_array, padded_depth, round_up
from model.kernels.splitmix import BLOCK
from model.kernels.threads import barrier_arguments, rank_range
from model.network.snapshot import FloatArray, LstmSnapshot
from model.sampling.distribution import is_plain, mask_bits
from model.sampling.sampler_state import SamplerState
from model.steppers.stepper import Symbols
from model.system.cores import usable_cores
from model.timing import fastest

MIN_STREAMS_PER_SHARD: Final = MANY_STREAMS
"""Minimum streams per shard without AMX. With fewer streams the threads share the hidden units
instead."""
MIN_STREAMS_PER_AMX_SHARD: Final = 16
"""Minimum streams per shard with AMX, if the weights fit in the L2 cache: the rows of one tile."""
MIN_STREAMS_PER_LARGE_SHARD: Final = 64
"""The same with AMX or in float32 if the weights do not fit in the L2 cache, because memory is then
the limit."""
L2_WEIGHT_BYTES: Final = 2**20
"""Bytes of weights that the L2 cache of a core holds beside everything else."""
UNITS_PER_THREAD: Final = 16
"""A thread has at least this many hidden units."""
TIMED_CHARACTERS_OF_FEW: Final = BLOCK
TIMED_CHARACTERS_OF_MANY: Final = 64
"""Characters with which a thread count is timed, for fewer and for more streams than
`MIN_STREAMS_PER_SHARD`. They take some milliseconds, because the system may wake threads on one
core and moves them apart only after a while."""
TIMING_ROUNDS: Final = 5
"""Timings of each thread count."""
MIN_SPEEDUP: Final = 1.2
"""Speed-up for which more threads are worth the cores that they keep busy."""


def choose_decoder(
    snapshot: LstmSnapshot,
    state: SamplerState,
    sampling: SamplingConfig,
    allowed: Allowed | None = None,
) -> CompiledDecoder | ShardedDecoder:
    """Returns a decoder that goes on from a state.

    Args:
        snapshot: the weights.
        state: of the streams.
        sampling: how characters are drawn; without truncation if some symbols are not allowed.
        allowed: [V], which symbols may be written; None allows all.
    """
    streams = len(state.noises)
    shard_count = min(usable_cores(), streams // _min_streams_per_shard(snapshot))
    if shard_count > 1:
        return ShardedDecoder(snapshot, state, sampling, shard_count, allowed)
    return CompiledDecoder(snapshot, state, sampling, allowed=allowed)


def _min_streams_per_shard(snapshot: LstmSnapshot) -> int:
    """Returns the streams from which a shard pays, though each shard reads all weights itself."""
    number = operand_dtype(snapshot)
    in_float32 = number == np.float32
    if not in_float32 and not HAS_AMX:
        return MIN_STREAMS_PER_SHARD
    matrices = [*(layer.matrix for layer in snapshot.layers), snapshot.head_matrix]
    weight_bytes = sum(matrix.size for matrix in matrices) * number.itemsize
    if weight_bytes > L2_WEIGHT_BYTES:
        return MIN_STREAMS_PER_LARGE_SHARD
    return MIN_STREAMS_PER_SHARD if in_float32 else MIN_STREAMS_PER_AMX_SHARD


class ShardedDecoder:
    """Decodes S streams in shards, whose threads never wait for each other within a character."""

    def __init__(
        self,
        snapshot: LstmSnapshot,
        state: SamplerState,
        sampling: SamplingConfig,
        shard_count: int,
        allowed: Allowed | None = None,
    ) -> None:
        """Shares out the streams, and the cores, among the shards."""
        streams, max_threads = len(state.noises), max(1, usable_cores() // shard_count)
        ranges = [rank_range(streams, shard, shard_count) for shard in range(shard_count)]
        self._shards = [
            CompiledDecoder(
                snapshot,
                state.of_streams(slice(*own)),
                sampling,
                max_threads=max_threads,
                allowed=allowed,
            )
            for own in ranges
        ]
        self._pool = ThreadPoolExecutor(shard_count, "streams")

    @property
    def mask_bits(self) -> FloatArray:
        """What the mask has cost each stream so far, [S], bits."""
        return np.concatenate([shard.mask_bits for shard in self._shards])

    def write(self, count: int) -> tuple[Symbols, FloatArray]:
        """Writes N characters in each stream; returns ids and probabilities, each [N, S]."""
        written = self._pool.map(lambda shard: shard.write(count), self._shards)
        ids, probabilities = zip(*written, strict=True)
        return np.concatenate(ids, axis=1), np.concatenate(probabilities, axis=1)

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()
        for shard in self._shards:
            shard.close()


class CompiledDecoder:
    """Decodes S streams; its threads share the hidden units."""

    def __init__(
        self,
        snapshot: LstmSnapshot,
        state: SamplerState,
        sampling: SamplingConfig,
        *,
        threads: int | None = None,
        max_threads: int | None = None,
        allowed: Allowed | None = None,
    ) -> None:
        """Compiles the kernels or loads them from the disk, and times thread counts.

        Args:
            snapshot: the weights.
            state: of the streams.
            sampling: how characters are drawn.
            threads: number of threads; None for the fastest.
            max_threads: limit for the fastest; None for the number of cores.
            allowed: as in `choose_decoder`.
        """
        streams, symbols = state.logits.shape
        self._allowed = allowed
        self.mask_bits = np.zeros(streams, np.float32)
        """What the mask has cost each stream so far, [S], bits."""
        self._noises, self._written = state.noises, state.written
        self._block_number = -1
        self._noise_block = np.zeros((BLOCK, streams, symbols), np.float32)
        self._is_greedy = sampling.temperature == 0
        self._scale = np.float32(1 if self._is_greedy else 1 / sampling.temperature)
        self._rules = _rules(sampling)
        self._logits = np.empty((BLOCK + 1, streams, symbols), np.float32)
        self._logits[0] = state.logits
        self._snapshot = snapshot
        self._biases = (snapshot.input_table, _upper_biases(snapshot), snapshot.head_bias)
        self._operands, self._cell = _packed_state(snapshot, state)
        counts = thread_counts(snapshot.hidden, UNITS_PER_THREAD, max_threads or usable_cores())
        most = threads or counts[-1]
        self._team = Team(most)
        self._norm = _norm_of(snapshot, most, streams) if snapshot.is_normalised else None
        self._share_out(1)
        self._try()
        draw_block.run(np.uint64(0), 0, np.empty(symbols, np.uint64), self._noise_block[:2].copy())
        self._share_out(threads or self._fastest(counts))

    def write(self, count: int) -> tuple[Symbols, FloatArray]:
        """Writes N characters in each stream; returns ids and probabilities, each [N, S]."""
        parts: list[tuple[Symbols, FloatArray]] = []
        while count:
            number, place = divmod(self._written, BLOCK)
            if number != self._block_number:
                self._draw_block(number)
            some = min(count, BLOCK - place)
            parts.append(self._decode(self._noise_block[place : place + some]))
            self._written += some
            count -= some
        ids, probabilities = zip(*parts, strict=True)
        return np.concatenate(ids), np.concatenate(probabilities)

    def close(self) -> None:
        """Ends the threads."""
        self._team.close()

    def _draw_block(self, number: int) -> None:
        """Draws the noise of the next `BLOCK` characters; each thread has some of the streams."""
        self._block_number = number
        if self._is_greedy:
            self._mask_noise()
            return  # the block stays zero

        def work(rank: int, _: Arrivals) -> None:
            words = np.empty(self._noise_block.shape[2], np.uint64)
            for stream in self._streams_of(rank):
                start = np.uint64(self._noises[stream].start(number))
                draw_block.run(start, stream, words, self._noise_block)

        self._team.run(len(self._shares), work)
        self._mask_noise()

    def _mask_noise(self) -> None:
        """Keeps the symbols that are not allowed from being the largest sum.

        Without truncation that is the distribution of masked logits, and the kernel still returns
        the probabilities of the unmasked ones.
        """
        if self._allowed is not None:
            self._noise_block[..., ~self._allowed] = -np.inf

    def _streams_of(self, rank: int) -> range:
        """Returns the streams whose noise a thread draws."""
        return range(*rank_range(len(self._noises), rank, len(self._shares)))

    def _decode(self, noise: FloatArray) -> tuple[Symbols, FloatArray]:
        """Writes N characters in each stream, one for every row of the noise [N, S, V]."""
        count, streams = noise.shape[:2]
        ids = np.empty((count, streams), np.int64)
        probabilities = np.empty((count, streams), np.float32)
        logits = self._logits[: count + 1]
        self._run(self._operands, self._cell, logits, noise, (ids, probabilities))
        if self._allowed is not None:
            self.mask_bits += mask_bits(logits[:count], self._allowed).sum(axis=0)
        self._logits[0] = self._logits[count]
        self._operands[0] = self._operands[count % 2]
        return ids, probabilities

    def _run(
        self,
        operands: Array,
        cell: FloatArray,
        logits: FloatArray,
        noise: FloatArray,
        written: tuple[Symbols, FloatArray],
    ) -> None:
        drawing = (noise, self._scale, self._rules)

        def work(rank: int, arrivals: Arrivals) -> None:
            weights, sums = self._shares[rank]
            first = (*barrier_arguments(rank, arrivals), *self._biases, weights, sums)
            decode_block.run(*first, operands, cell, logits, *drawing, self._norm, *written)

        self._team.run(len(self._shares), work)

    def _share_out(self, threads: int) -> None:
        """Packs each thread's rows of all matrices, and allocates its sums."""
        self._shares: list[Share] = [self._share(rank, threads) for rank in range(threads)]

    def _share(self, rank: int, size: int) -> Share:
        """Returns the share of one of ``size`` threads."""
        streams = self._cell.shape[1]
        blocks = list(_gate_blocks(self._snapshot, rank, size, units_per_block(streams)))
        matrices = [*blocks, _head_rows(self._snapshot, rank, size)]
        columns = [round_up(len(matrix), PANEL) for matrix in matrices]
        most = max(columns)
        if self._norm is not None:
            of_a_layer = len(blocks) // len(self._snapshot.layers)
            most = max(columns[-1], sum(columns[:of_a_layer]))
        packed = [pack_array(matrix, self._operands.dtype) for matrix in matrices]
        sums = aligned(np.zeros(streams * most, np.float32))
        return aligned(np.concatenate(packed)), sums

    def _fastest(self, counts: Sequence[int]) -> int:
        """Returns the fastest number of threads."""
        return fastest(
            counts,
            self._seconds,
            lambda count: count,
            rounds=TIMING_ROUNDS,
            min_speedup=MIN_SPEEDUP,
        )

    def _seconds(self, threads: int) -> float:
        """Returns the seconds that some characters take with a number of threads."""
        if len(self._shares) != threads:
            self._share_out(threads)
        began = time.perf_counter()
        self._try()
        return time.perf_counter() - began

    def _try(self) -> None:
        """Decodes some characters from copies of the state, and drops them."""
        is_few = len(self._noises) < MIN_STREAMS_PER_SHARD
        count = TIMED_CHARACTERS_OF_FEW if is_few else TIMED_CHARACTERS_OF_MANY
        logits = self._logits[: count + 1].copy()
        noise = np.zeros_like(logits[1:])
        ids = np.empty(noise.shape[:2], np.int64)
        probabilities = np.empty(noise.shape[:2], np.float32)
        copies = aligned(self._operands), self._cell.copy()
        self._run(*copies, logits, noise, (ids, probabilities))


Share = tuple[Array, FloatArray]
"""A thread's packed weights, and its scratch for sums."""


def _rules(sampling: SamplingConfig) -> npt.NDArray[np.float64]:
    """Returns the rules that the kernel draws by, [5]; [0] if float32 suffices."""
    if sampling.temperature == 0 or is_plain(sampling):  # the likeliest character is always kept
        return np.empty(0, np.float64)
    numbers = (sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p)
    return np.array([*numbers, sampling.typical], np.float64)


def _packed_state(snapshot: LstmSnapshot, state: SamplerState) -> tuple[Array, FloatArray]:
    """Returns operands [2, M] and cells [L, S, H] for `decode_block`.

    The operands are read in turns before and after a character. In bfloat16 they are rounded as in
    training.
    """
    number = operand_dtype(snapshot)
    hidden, cell = (part.transpose(0, 2, 1) for part in state.carried)
    empty = np.zeros_like(hidden[0])
    # The first layer's own state; of each upper layer the output below and the own state; then
    # what the head reads.
    pieces = [hidden[0], *(np.concatenate([empty, own], axis=1) for own in hidden[1:]), empty]
    flat = []
    for piece in pieces:
        width = piece.shape[1]
        padded = np.pad(piece, ((0, 0), (0, padded_depth(width, number.itemsize) - width)))
        flat.append((padded if number == np.float32 else to_bfloat16(padded)).reshape(-1))
    return aligned(np.stack([np.concatenate(flat)] * 2)), cell.copy()


def _gate_blocks(snapshot: LstmSnapshot, rank: int, size: int, units: int) -> Iterator[FloatArray]:
    """Yields a thread's rows of all layers: blocks [4 * units, K], one gate after the other."""
    width = snapshot.hidden
    first, last = unit_range(width, rank, size)
    for layer in snapshot.layers:
        gates = layer.matrix.reshape(4, width, -1)
        for start in range(first, last, units):
            block = gates[:, start : min(start + units, last)]
            yield block.reshape(-1, block.shape[2])


def _head_rows(snapshot: LstmSnapshot, rank: int, size: int) -> FloatArray:
    """Returns a thread's rows of the head."""
    return snapshot.head_matrix[slice(*rank_range(snapshot.vocabulary_size, rank, size))]


def _upper_biases(snapshot: LstmSnapshot) -> FloatArray:
    """Returns what is added to the sums of all layers but the first, [L - 1, 4H].

    That is the bias, or nothing if gates are normalised.
    """
    shape = len(snapshot.layers) - 1, 4 * snapshot.hidden
    if snapshot.is_normalised:
        return np.zeros(shape, np.float32)
    return np.array([layer.bias for layer in snapshot.layers[1:]], np.float32).reshape(shape)


def _norm_of(snapshot: LstmSnapshot, threads: int, streams: int) -> DecodingNorm:
    """Returns what the kernel needs for normalised gates."""
    gains, biases = (
        np.array([getattr(layer, name) for layer in snapshot.layers], np.float32)
        for name in ("gain", "bias")
    )
    scales = np.zeros((threads, streams), np.float32)
    squares = np.zeros((streams, snapshot.hidden), np.float32)
    return DecodingNorm(gains, biases, np.float32(NORM_EPSILON), scales, squares)


def operand_dtype(snapshot: LstmSnapshot) -> np.dtype[Any]:
    """Returns the dtype of the products: that of the training, if the processor multiplies it.

    Where bfloat16 would have to be multiplied as float32, the weights stay in float32.
    """
    return np.dtype(np.uint16 if HAS_BFLOAT16 and snapshot.precision == "bf16" else np.float32)
