"""Batches of a text's ids. NumPy. May import `corpus`, `model.config` and `model.distributed`."""
