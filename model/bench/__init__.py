"""The ``bench`` command: this program's speed beside the stock way.

May import all rooms below it.
"""
