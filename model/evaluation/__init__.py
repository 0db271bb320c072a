"""Scores of a text: stateful, windowed, cold starts, dynamic; and what hidden units track. PyTorch.

May import `model.sampling`, `model.runs`, `model.network`, `model.compute` and `model.data`.
"""
