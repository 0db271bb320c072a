"""The ``bench`` command: this program's speed beside stock implementations.

May import all rooms below it.
"""
