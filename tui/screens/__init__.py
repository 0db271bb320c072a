"""The main screen and the screens that open over it: help, menus, dialogs, runs.

May import `tui.widgets` and what is below it.
"""
