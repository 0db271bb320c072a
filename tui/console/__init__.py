"""Plain standard output and error: lines, tables, progress, exit statuses, interrupts.

May import `tui.sanitise` and `tui.widths`.
"""
