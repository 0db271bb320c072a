"""The page that a run is given away as: its weights, and a script that writes with them.

May import `tui.export`, `tui.view`, `tui.sanitise` and what is below them, and no torch.
"""
