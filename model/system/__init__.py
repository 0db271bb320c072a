"""The resources of this process: cores, memory, child processes, compiled code.

No torch; Numba is imported only if a caller requests compiled code. May import `model.events`,
`model.errors` and `corpus`.
"""
