"""The row that teaches: sentences about what happens now, one at a time, each once.

`hints` says which there are, `teacher` chooses, `hint_row` draws. May import ``tui.widgets``,
``tui.view`` and ``tui.sanitise``.
"""
