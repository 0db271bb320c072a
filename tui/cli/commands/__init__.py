"""One module for each command of the command line; each is imported when it is called."""
