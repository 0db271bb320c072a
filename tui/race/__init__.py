"""The race: which lanes there are and which of them fit, and the pane that shows them.

May import `tui.widgets`, `tui.view` and `tui.sanitise`.
"""
