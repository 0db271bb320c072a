"""The processes of one training: rank, process group, shared memory. May import `model.errors`."""
