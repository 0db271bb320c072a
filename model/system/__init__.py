"""The resources of this process: cores, memory, child processes, compiled code.

`torch_import` checks in a child process that torch can be imported. No module here imports torch;
Numba is imported only if a caller requests compiled code. May import `model.events`, `model.errors`
and `corpus`.
"""
