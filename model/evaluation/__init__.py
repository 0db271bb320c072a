"""Scores texts, finds what hidden units track, and what a student learns of its teacher. PyTorch.

The protocols are stateful scoring, windowed scoring, cold starts and dynamic evaluation.

May import `model.steppers`, `model.runs`, `model.network`, `model.compute` and `model.data`.
"""
