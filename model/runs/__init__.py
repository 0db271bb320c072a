"""A run on disk: folder, lock, checkpoints, metrics, export, and opening one. No torch, no Numba.

May import the NumPy part of `model.network`, and `model.data`, `model.system`, `corpus`.
"""
