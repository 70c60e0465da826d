"""stdout and stderr that never end a campaign: characters that they cannot encode are replaced, unread text dropped."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, Literal

CONTINUES = "stopped; the same command again continues from here"
STOPPED = 130  # exit code after a signal that stops a command, as of a shell's own commands


class Unread(io.FileIO):
    """A file descriptor whose reader may go away: a closed pipe (`| head`), the terminal of a session that ended.

    Other errors, as of a full disk, are raised once where the output matters, and dropped elsewhere.
    """

    matters = True

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if self.matters and error.errno not in (errno.EPIPE, errno.EIO):
                self.matters = False  # or what is still buffered would raise again when Python ends
                raise
            return memoryview(data).nbytes


def open_streams() -> None:
    """Replace sys.stdout and sys.stderr by streams on `Unread`; one that was closed at the start discards its text.

    Libraries print through them too. Streams without a file descriptor, as tests have, stay.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - open until the end
            continue
        if isinstance(getattr(getattr(stream, "buffer", None), "raw", None), Unread):
            continue  # one of ours
        try:
            raw = Unread(stream.fileno(), "w", closefd=False)
        except (OSError, ValueError):
            continue
        raw.matters = name == "stdout"
        stream.flush()
        lines = stream.line_buffering
        new = io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, errors="replace", line_buffering=lines)
        setattr(sys, name, new)


def tell(text: object, stream: Literal["stderr", "stdout"] = "stderr") -> None:
    """Print a text and a line's end at once. Results go to stdout, all else to stderr."""
    file = getattr(sys, stream)
    file.write(f"{text}\n")
    file.flush()
