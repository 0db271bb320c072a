"""What the operating system gives this process: cores, memory, child processes, compiled code.

No torch, and Numba only where a caller asks for compiled code. May import `model.events`,
`model.errors` and `corpus`.
"""
