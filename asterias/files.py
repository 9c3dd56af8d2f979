"""Files and folders that appear whole or not at all, and readers with a size limit."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asterias.errors import UserError, describe_os_error

FilePath = str | os.PathLike[str]

# Far above every text or JSON file that the house writes, and far below what would hurt a machine.
TEXT_LIMIT_BYTES = 64 * 1024 * 1024


def write_bytes(path: FilePath, content: bytes) -> None:
    """Write a file whole or not at all: temporary name, flush, fsync, rename.

    Folders above it are made. When this returns, the content is on the disk; where it raises
    OSError, nothing is left behind.

    Args:
        path: file to write or to replace.
        content: all of it.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; results are for everyone.
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_text(path: FilePath, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: FilePath, data: Any, indent: int | None = 2) -> None:
    """Write a JSON file whole or not at all.

    Args:
        path: file to write or to replace.
        data: what ``json`` can write.
        indent: spaces per level; None writes one line.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not know; nothing is written.
    """
    try:
        text = json.dumps(data, indent=indent, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}; nothing was written.") from error
    write_text(path, f"{text}\n")


@contextmanager
def write_folder(path: FilePath) -> Iterator[Path]:
    """Give a temporary folder to write into, which gets its name when all went well.

    Args:
        path: folder to make; folders above it are made, too.

    Yields:
        The temporary folder, beside ``path``; it is removed when the block raises.

    Raises:
        UserError: there is something of that name.
    """
    target = Path(path)
    if target.exists() or target.is_symlink():
        raise UserError(f"{target} exists already, and is not overwritten; name a new folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:100]}."))
    try:
        temporary.chmod(0o755)  # as for files
        yield temporary
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_bytes(path: FilePath, limit_bytes: int) -> bytes:
    """Read a file whose size is looked at first.

    Args:
        path: a regular file.
        limit_bytes: greatest size that is read.

    Returns:
        All of it.

    Raises:
        UserError: it is missing, no regular file, unreadable or too large.
    """
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for a writer.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UserError(describe_os_error(error)) from error
    except ValueError as error:
        raise UserError(f"{os.fspath(path)!r} is no name that a file can have.") from error
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise UserError(f"{os.fspath(path)} is no file.")
        content = b"" if about.st_size > limit_bytes else _read(handle, limit_bytes)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{os.fspath(path)} cannot be read: {reason}.") from error
    finally:
        os.close(handle)
    size = max(about.st_size, len(content))
    if size > limit_bytes:
        raise UserError(
            f"{os.fspath(path)} has {size:,} bytes; at most {limit_bytes:,} are read from it."
        )
    return content


def read_text(path: FilePath, limit_bytes: int = TEXT_LIMIT_BYTES) -> str:
    """Return the content of a UTF-8 text file, whose size is looked at first.

    Raises:
        UserError: it cannot be read (see ``read_bytes``) or is not UTF-8.
    """
    try:
        return read_bytes(path, limit_bytes).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{os.fspath(path)} is no text file: {_brief(error)}.") from error


def read_json(path: FilePath, limit_bytes: int = TEXT_LIMIT_BYTES) -> Any:
    """Read a JSON file whose size is looked at first.

    Returns:
        What the file holds; a caller checks its form.

    Raises:
        UserError: it cannot be read (see ``read_bytes``) or holds no JSON.
    """
    text = read_text(path, limit_bytes)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise UserError(f"{os.fspath(path)} is no JSON file: it is nested too deep.") from error
    except ValueError as error:
        raise UserError(f"{os.fspath(path)} is no JSON file: {error}.") from error


def read_training(path: Path, key: str) -> dict[str, Any]:
    """Return what a finished training of a study has written.

    Args:
        path: of its JSON file.
        key: that each of them has.

    Raises:
        UserError: it cannot be read, or holds something else.
    """
    result = read_json(path)
    if not isinstance(result, dict) or key not in result:
        raise UserError(f"{path} holds no training; remove it and run again.")
    return result


def _read(handle: int, limit_bytes: int) -> bytes:
    """Return what is there, and a byte more than allowed if the file has grown meanwhile."""
    with os.fdopen(os.dup(handle), "rb") as file:
        return file.read(limit_bytes + 1)


def _brief(error: UnicodeDecodeError) -> str:
    return f"byte {error.start} is not UTF-8"
