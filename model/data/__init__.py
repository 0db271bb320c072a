"""From ids to batches. NumPy. May import `corpus`, `model.config` and `model.distributed`."""
