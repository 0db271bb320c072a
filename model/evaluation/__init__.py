"""Scores texts by four protocols, and finds what hidden units track. PyTorch.

The protocols are stateful scoring, windowed scoring, cold starts and dynamic evaluation.

May import `model.sampling`, `model.runs`, `model.network`, `model.compute` and `model.data`.
"""
