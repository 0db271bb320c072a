"""The program: command line, app, screens, widgets, pages and files. Never imports torch itself.

From the top floor down; each room may import those below it, which ``lint-imports`` checks:

    start                   the entrance, installed as ``charlm_tui``
    cli                     the command line: options, and one module for each command
    app                     the app on a session: polls it, sends it commands
    screens                 what opens over the main screen, and the main screen
    hints, race             the row that teaches; the lanes of the race
    widgets, web            panes, charts and bars; the app as a page in a browser
    terminal, export        the terminal below Textual; figures and files to keep
    config                  keys, themes, settings, the user's configuration file
    view, console           what the screen shows, as pure values; plain stdout and stderr
    sanitise, widths        foreign text made printable; how wide it is

It talks to the model through `model.session.protocol`: commands down, events up.
"""
