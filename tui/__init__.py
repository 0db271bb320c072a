"""The program: command line, screens and widgets.

It talks to the model through ``model.session.protocol`` (commands down, events up) and never
imports torch itself.
"""
