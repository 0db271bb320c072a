"""Shannon's guessing game: passages, guesses and bounds on bits per character. Pure, no NumPy.

It knows no network: `model.session.duel_thread` lets the model read the same passage. May import
`corpus`.
"""
