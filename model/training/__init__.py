"""One training as a generator of events. PyTorch. May import everything below it."""
