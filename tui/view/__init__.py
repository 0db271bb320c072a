"""What the screen shows, as plain values and pure functions. No Textual.

May import `corpus`, `tui.clusters`, `tui.sanitise`, `tui.widths`, and of `model` its events, its
settings, and the parts of `runs` and `sampling` without torch.
"""
