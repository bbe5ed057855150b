"""The members of a zip archive from anywhere, within bounds: a small file does not become a large one.

A zip says of each member how it is packed and how long it is, and may lie. Here what is unpacked stays in proportion
to the file, is no longer than was said, and nothing has a name that would lead elsewhere if somebody wrote it out.
"""

from __future__ import annotations

import zipfile
from pathlib import PurePosixPath, PureWindowsPath

from harness.errors import BadInput

#: An archive may unpack to this, whatever its own size …
ALWAYS_ALLOWED_BYTES = 256 << 20
#: … and beyond to as many times its size. Motion in float32 packs to a half or a third, zeros to a thousandth.
LARGEST_EXPANSION = 100
#: As numpy and torch pack. Of bzip2 and LZMA a few bytes can be gigabytes before anything can be looked at.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def most_bytes(packed_bytes: int) -> int:
    """What a file of ``packed_bytes`` may unpack to."""
    return ALWAYS_ALLOWED_BYTES + LARGEST_EXPANSION * packed_bytes


def listed(archive: zipfile.ZipFile, packed_bytes: int, where: str) -> list[zipfile.ZipInfo]:
    """The members of an archive of ``packed_bytes``, in its order.

    Raises BadInput, which begins with ``where``, for one whose name is absolute, leads upwards or occurs twice, that is
    packed by another method than numpy's and torch's, or if all together are far longer than what they are packed in.
    """
    members = archive.infolist()
    seen: set[str] = set()
    for member in members:
        name = member.filename
        if leads_out(name):
            raise BadInput(f"{where}: refused, since its member {name!r} would be outside of any folder it is put into")
        if name.removesuffix(".npy") in seen:
            raise BadInput(f"{where}: has two members called {name!r}; which of them is meant?")
        seen.add(name.removesuffix(".npy"))
        if member.compress_type not in _METHODS:
            raise BadInput(f"{where}: member {name!r} is packed by a method that is not read here; expected deflate")
    unpacked_bytes = sum(member.file_size for member in members)
    if unpacked_bytes > most_bytes(packed_bytes):
        raise BadInput(
            f"{where}: refused, since {packed_bytes:,} bytes would unpack to {unpacked_bytes:,}; if it is sound, save"
            " it again without compression"
        )
    return members


def read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The whole of ``member``; raises what ``zipfile`` does for one that is damaged or not as long as it says."""
    with archive.open(member) as stream:
        # Not read(), which unpacks all that there is before it looks at how much there should be.
        content = stream.read(member.file_size)
    if len(content) != member.file_size:
        raise zipfile.BadZipFile(f"{len(content)} bytes of {member.file_size}")
    return content


def leads_out(name: str) -> bool:
    """Whether a file of this name, put into a folder, would lie outside of it, here or on Windows."""
    windows = PureWindowsPath(name)
    return bool(PurePosixPath(name).is_absolute() or windows.anchor or ".." in windows.parts)
