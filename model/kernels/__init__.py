"""Compiled numerics for one CPU: matrix products, the LSTM cell, whole sequences, decoding. Numba.

Imports nothing of this project, except that `disk_cache` uses `corpus.files`. Called by network,
training, sampling and bench only. Every constant that is compiled into a kernel lives here, because
a change to any file of this room makes the cached code stale.
"""
