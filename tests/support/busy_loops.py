"""Runs a command beside loops that keep the processor busy, and ends them with it. A script.

Arguments: how many loops, and the command, whose status is its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

LOOP = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
parent = int(sys.argv[1])

def end_with_the_parent():
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(0)

threading.Thread(target=end_with_the_parent, daemon=True).start()
while True:
    sum(range(10_000))
"""
"""Ends with its parent, also where that is killed."""


def main() -> int:
    count, command = int(sys.argv[1]), sys.argv[2:]
    own = str(os.getpid())
    loops = [subprocess.Popen([sys.executable, "-I", "-S", "-c", LOOP, own]) for _ in range(count)]
    try:
        with subprocess.Popen(command) as work:
            # Ctrl-C goes to the command as well, which ends what it has begun.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, lambda *_: work.terminate())
            status = work.wait()
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
