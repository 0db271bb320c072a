"""The app on a session: it polls events, shows them, and turns keys into commands.

May import `tui.screens`, `tui.widgets` and what is below them.
"""
