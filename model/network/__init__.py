"""One language model: its parameters and first values, torch module, layers, frozen snapshot.

A second kind of network is added here. May import `model.kernels`, `model.compute`, `model.system`.
"""
