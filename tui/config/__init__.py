"""Keys, themes, screen settings and the user's configuration file. May import `tui.view`."""
