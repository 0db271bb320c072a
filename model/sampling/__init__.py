"""From logits to characters: distribution, noise, drafts, streams, races.

May import `model.steppers`, `model.network`, `model.constraints`, `model.kernels` and
`model.system`. Reads no files and starts no threads except those of the compiled decoders.
"""
