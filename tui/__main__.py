"""``python -m tui`` is ``charlm-tui``."""

from tui.interrupts import leave_at_once


def main() -> None:
    """Runs the command line; Ctrl-C during its imports ends the process without a traceback."""
    leave_at_once()
    from tui.command_line import main as run  # noqa: PLC0415 - not before the line above

    run()


if __name__ == "__main__":
    main()
