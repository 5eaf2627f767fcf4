"""The command line `pair2score`."""

import os
import signal
import sys

from . import _native


def main() -> int:
    """Runs the command line and gives its exit code."""
    # Python would only take note of Ctrl-C, and a command that computes looks for no notes. Commands that save before
    # they end set a handler of their own.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _native.run(os.path.abspath(sys.argv[0]), sys.argv)
