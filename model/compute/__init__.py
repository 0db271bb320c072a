"""Where PyTorch computes: device, precision, threads, CUDA graphs, copies to the host.

May import `model.distributed`, `model.system` and the vocabulary. `engine` is torch-free.
"""
