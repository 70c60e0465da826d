"""The error for wrong input, and how its message quotes what is wrong and suggests what is right."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any


class UserError(Exception):
    """Wrong usage or data. The message is one or two lines: what is wrong, where, and what to do.

    The command line prints it without a traceback and exits with code 2. What it quotes may be anything that was
    found in a file, so a long message loses its middle.
    """

    def __init__(self, text: str):
        super().__init__(text if len(text) <= 1500 else f"{text[:1000]} […] {text[-400:]}")


def quoted(value: Any) -> str:
    """A value read from a file, shortened for a message: a few bytes can describe a value of endless text."""
    if isinstance(value, (str, bytes)):
        return repr(value[:200])
    if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 10**30):
        return repr(value)
    return f"<{type(value).__name__}>"


def suggestion(name: str, valid: list[str]) -> str:
    """`; did you mean …?` and the list of valid names, for error messages."""
    close = get_close_matches(name, valid, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{hint} (one of: {', '.join(valid) or 'none at all'})"


LABEL = "[A-Za-z0-9][A-Za-z0-9._+-]{0,63}"  # what is a folder's name on every system


def label(text: str, what: str, room: int = 0) -> str:
    """A name that rows, files and folders of results have; UserError that begins with `what`.

    `room` is how many of the 64 characters are reserved for a suffix.
    """
    if not re.fullmatch(LABEL, text) or len(text) > 64 - room:
        rest = f", with room for {room} more" if room else ""
        raise UserError(
            f"{what} {text!r}: as it names a folder, it has at most {64 - room} letters, digits and . _ + -{rest}, the "
            "first a letter or digit"
        )
    return text


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, in Python's, numpy's or torch's words."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()  # torch's OutOfMemoryError is a RuntimeError
    return isinstance(error, RuntimeError) and ("alloc" in text or "out of memory" in text)
