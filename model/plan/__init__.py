"""The plan of a training: the network that this machine can train on a text in a given time.

May import ``system`` and what stands below it. No torch.
"""
