"""``python -m tui`` is ``charlm-tui``."""

from tui.command_line import main

if __name__ == "__main__":
    main()
