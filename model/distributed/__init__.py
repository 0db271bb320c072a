"""The processes of one training: rank and process group. May import `model.errors`."""
