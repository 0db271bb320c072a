"""The dialog in which the user guesses held-out letters against the model, and its words.

May import `tui.screens` and everything below it, and `model.duel`.
"""
