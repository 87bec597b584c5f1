"""Directories and files that nobody else on the machine can look into."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["private_directory", "write_privately"]


def private_directory(path: Path) -> None:
    """Have a directory that nobody else can look into.

    Raises:
        OSError: There is none and none can be made, or it is somebody else's, or no directory.
    """
    for missing in (*(each for each in reversed(path.parents) if not each.exists()), path):
        missing.mkdir(mode=0o700, exist_ok=True)  # `parents=True` would ask the umask for these
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(f"{path} is not a directory of our own")
    if found.st_mode & 0o077:
        path.chmod(0o700)


def write_privately(path: Path, text: str) -> None:
    """Write a small file that nobody else can read.

    Raises:
        OSError: It cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123 - of a descriptor
        file.write(text)
