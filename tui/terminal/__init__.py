"""The terminal below the app: signals, hang-ups, keys in, bytes out.

Everything that reaches below Textual's public interface is in this package, and nothing else is:
``guard`` sees the program to its end, ``driver`` reads keys and sizes, ``output`` writes without
ever making the app wait, ``wall`` lets no foreign control character through, ``terminal_app`` ties
them to the app, ``without_screen`` goes on when there is no terminal any more, ``entrance`` tells
whether there is one.
"""
