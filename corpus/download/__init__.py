"""Built-in texts: which there are, and how they are fetched, checked and kept.

May import `corpus.files` and `corpus.errors`.
"""
