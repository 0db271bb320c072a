"""Panes, charts and bars of the main screen.

May import `tui.view`, `tui.config`, `tui.console` and `tui.terminal`.
"""
