"""The command `harness`, also `python -m harness`: light, so that Ctrl-C ends it also while libraries are loaded."""

from __future__ import annotations

import signal


def main() -> None:
    """Entry point; see `cli.main`. A worker process imports this module as well, so nothing happens before the call."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # inherited from a shell's `&`
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own handler would print a traceback
    from harness import cli

    cli.main()


if __name__ == "__main__":
    main()
