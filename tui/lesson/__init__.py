"""The lesson: ten steps in a pane beside the running app, which wait for what the user does.

The texts are the files of ``steps``, one folder for each language. `conditions` says what a step
can wait for, `step` reads a file, `language` chooses a folder, `progress` counts, `step_rows`
arranges the words, and `lesson_pane` shows them. May import ``tui.widgets``, ``tui.config``,
``tui.view`` and ``tui.sanitise``.
"""
