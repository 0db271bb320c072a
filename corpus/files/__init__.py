"""Files and folders, for all three packages: open, read, write, remove, and where they belong.

May import `corpus.errors`, nothing else of this project.
"""
