"""What the screen shows, as plain values and pure functions. No Textual.

May import `model.events`, `tui.sanitise` and `tui.widths`.
"""
