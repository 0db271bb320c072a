"""``python -m tui`` is ``charlm-tui``."""

from tui.start import main

if __name__ == "__main__":
    main()
