"""The command line: options, and one module for each command.

May import every room of tui below it.
"""
