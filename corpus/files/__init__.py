"""Opens, reads, writes, removes and places files and folders, for all three packages.

May import `corpus.errors`, nothing else of this project.
"""
