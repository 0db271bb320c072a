"""Encoded texts kept on disk: fingerprints, files of ids, and pages mapped into memory.

May import `corpus.files`, `corpus.corpus`, `corpus.vocabulary` and `corpus.errors`.
"""
