"""Character n-grams: what counts alone predict of a text. NumPy. Imports no other room.

They are references for the network: a 5-gram predicts a character from the five before it.
"""
