"""The seam to the screen: commands down, events up, and the threads behind it.

May import everything below it except `model.bench`.
"""
