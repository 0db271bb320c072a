"""A run on disk: folder, lock, checkpoints, record, export, and opening one. No torch, no Numba.

`folder` owns one `checkpoint_store` and one record (`metrics_log`); `open` starts or resumes a run.

May import the NumPy part of `model.network`, and `model.data`, `model.system`, `corpus`.
"""
