"""Text files in, with a clear word where the file is not what its name says."""

from __future__ import annotations

from pathlib import Path

from harness.errors import BadInput

#: What a message quotes of a damaged file may be a line of megabytes.
LONGEST_MESSAGE = 400
#: Of a number of frames; a file with more of them would not fit on a disk.
MOST_DIGITS = 15

#: How a file begins that was saved in place of another one, and what it then is.
_MISTAKEN = (
    (b"<!doctype", "a web page saved in place of the file; download the file itself"),
    (b"<html", "a web page saved in place of the file; download the file itself"),
    (b"<?xml", "an XML page saved in place of the file; download the file itself"),
    (b"version https://git-lfs", "a Git LFS pointer; run git lfs pull to get the file itself"),
    (b"\x93numpy", "a single .npy array; the set wants an .npz of named arrays"),
    (b"\x80", "a Python pickle; pickles can run code and are not read here"),
    (b"\x1f\x8b", "gzip-compressed; unpack it first"),
    (b"pk\x03\x04", "a zip archive"),
)


def mistaken_for(head: bytes) -> str:
    """What a file beginning with ``head`` is instead of what was hoped for, or ``""`` when nothing known."""
    if not head:
        return "empty; was the download or copy cut off?"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    return next((what for mark, what in _MISTAKEN if start.startswith(mark)), "")


def read_text(path: Path, expected: str) -> str:
    """The text of ``path``.

    Undecodable bytes (comments in national encodings are common in motion files) are replaced.
    Raises BadInput naming the file when it cannot be read, is empty, or is plainly something else than ``expected``.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); expected {expected}") from error
    mistaken = mistaken_for(content[:64])
    if mistaken or b"\0" in content[:4096]:
        raise BadInput(f"{path}: is not {expected} but {mistaken or 'binary data'}")
    return content.decode("utf-8-sig", errors="replace")
