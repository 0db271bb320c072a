"""A run on disk: folder, lock, checkpoints, record, export, and opening one. No torch, no Numba.

`folder` owns one `checkpoint_store` and one record (`metrics_log`); `open` starts or resumes a run.

May import the parts of `model.network` and `model.compute` without torch, and `model.data`,
`model.plan`, `model.duel`, `model.system`, `corpus`.
"""
