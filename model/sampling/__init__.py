"""From logits to characters: distribution, noise, steppers, streams, races.

May import `model.network`, `model.kernels`, `model.compute` and `model.system`. Reads no files and
starts no threads except those of the compiled decoders.
"""
