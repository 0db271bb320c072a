"""Exports to files: pictures of the curve, samples, the screen. No widget."""
