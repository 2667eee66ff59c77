"""The file itself: a zip of `values.json` and one `.npy` for every array, nothing compressed, closed by a digest.

The last bytes of the file, which a zip calls its comment, are the SHA-256 of all bytes before them. It tells a damaged
file from a whole one; against a hostile one it is no help, so that whatever a file declares is compared with the number
of its bytes before memory is taken for it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import secrets
import stat
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed
    fcntl = None  # type: ignore[assignment]

from lgm.errors import LgmError

HEADER = "values.json"
HEADER_BYTES = 16 * 2**20  # as Python objects it may take thirty times as much memory
_MARK = b"sha256:"
_DIGEST = 64  # hexadecimal digits
_CHUNK = 2**20
_MEMBER = re.compile(r"a\d{1,9}\.npy")
_TEMPORARY = re.compile(r"\.lgm-save-[0-9a-f]{16}\.tmp")
# What NumPy writes before the values. It is matched, not evaluated.
_ARRAY = re.compile(
    rb"\{'descr': '([<>|=][biufcSUMm]\d{1,9}(?:\[\w{1,9}\])?)', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,19},? ?){0,8})\), \} *\n"
)


class Damaged(Exception):
    """What is wrong with a file; it becomes an LgmError that names the file."""


def write(path: str | os.PathLike[str], header: Any, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write a file in one step: through a temporary one beside it, so that a failure leaves what was there.

    Temporary files that killed processes left in the folder are removed.
    """
    target = Path(os.path.realpath(path))  # a link stays, what it points to is replaced
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(target.parent))
    text = json.dumps(header, separators=(",", ":")).encode()
    if len(text) > HEADER_BYTES:
        raise LgmError(
            f"the labels, lists and mixed columns of this fit take {len(text) / 2**20:.0f} MB as text, and a file "
            f"holds {HEADER_BYTES // 2**20} MB of them. Nothing was written. Make columns of one kind (all text, all "
            "numbers)."
        )
    _remove_leftovers(target.parent)
    raw, name = _temporary(target.parent)
    try:
        _fill(raw, text, arrays)
        if target.exists():
            os.chmod(name, stat.S_IMODE(target.stat().st_mode))
        if fcntl is None:
            raw.close()
        os.replace(name, target)
    except BaseException:
        raw.close()
        os.unlink(name)
        raise
    raw.close()  # only now: a temporary file that is open is nobody's leftover


def _fill(raw: IO[bytes], text: bytes, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    with zipfile.ZipFile(raw, "w") as file:
        file.writestr(HEADER, text)
        for key, array in arrays.items():
            with file.open(f"{key}.npy", "w", force_zip64=array.nbytes > 2**30) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        file.comment = _MARK + _DIGEST * b"0"
    raw.seek(0, os.SEEK_END)
    size = raw.tell() - _DIGEST
    digest = _digest(raw, size)
    raw.seek(size)
    raw.write(digest)
    raw.flush()
    os.fsync(raw.fileno())


def _digest(raw: IO[bytes], size: int) -> bytes:
    """SHA-256 of the first bytes."""
    raw.seek(0)
    found = hashlib.sha256()
    while size > 0 and (chunk := raw.read(min(size, _CHUNK))):
        found.update(chunk)
        size -= len(chunk)
    return found.hexdigest().encode()


def _temporary(folder: Path) -> tuple[IO[bytes], str]:
    """A new file, locked as long as it is open, with the permissions of any new file."""
    while True:
        name = str(folder / f".lgm-save-{secrets.token_hex(8)}.tmp")
        handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        raw = os.fdopen(handle, "w+b")
        if fcntl is None:
            return raw, name
        with contextlib.suppress(OSError):  # a file system without locks: nothing is removed there
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:  # another save may have taken it for a leftover before it was locked
            return raw, name
        raw.close()


def _remove_leftovers(folder: Path) -> None:
    """Remove temporary files that no process has open."""
    names: list[str] = []
    with contextlib.suppress(OSError):  # a folder may be written to and not listed
        names = os.listdir(folder)
    for name in names:
        if not _TEMPORARY.fullmatch(name):
            continue
        with contextlib.suppress(OSError), open(folder / name, "rb") as left:
            if fcntl is not None:
                fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(folder / name)
        if fcntl is None:
            with contextlib.suppress(OSError):
                os.unlink(folder / name)


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[tuple[Any, Arrays]]:
    """The header and the arrays of a file, which are read when they are asked for.

    Raises
    ------
    LgmError
        If it is not such a file, or if what is done with it in the ``with`` block fails.
    """
    with open(path, "rb") as raw:
        try:
            size = _require_whole(raw)
            with zipfile.ZipFile(raw) as file:
                members = _members(file, size)
                yield json.loads(file.read(members[HEADER])), Arrays(file, members)
        except (LgmError, MemoryError):
            raise
        except Exception as error:
            reason = str(error) if isinstance(error, Damaged) else f"{type(error).__name__}: {error}"
            shown = reason if len(reason) <= 200 else f"{reason[:200]}..."
            raise LgmError(
                f"{os.fspath(path)} is not a file that fit.save() wrote, or it is damaged: {shown}"
            ) from error


def _require_whole(raw: IO[bytes]) -> int:
    """Compare the digest with the bytes; their number."""
    size = raw.seek(0, os.SEEK_END)
    end = size - _DIGEST
    raw.seek(max(end - len(_MARK), 0))
    if raw.read(len(_MARK)) != _MARK:
        raise Damaged("it does not end in a digest (files of lgm's formats 1 and 2 did not either).")
    expected = raw.read(_DIGEST)
    if _digest(raw, end) != expected:
        raise Damaged("its bytes are not those of its digest.")
    return size


def _members(file: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by name, none of them larger than the file is."""
    found = {info.filename: info for info in file.infolist()}
    for name, info in found.items():
        if name != HEADER and not _MEMBER.fullmatch(name):
            raise Damaged(f"it has a member {name!r}.")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.compress_size != info.file_size:
            raise Damaged(f"its member {name} is compressed or encrypted.")
    if HEADER not in found:
        raise Damaged(f"it has no {HEADER}.")
    if len(found) < len(file.infolist()) or sum(info.file_size for info in found.values()) > size:
        raise Damaged("its members overlap.")
    if found[HEADER].file_size > HEADER_BYTES:
        raise Damaged(f"its {HEADER} has {found[HEADER].file_size} bytes; the limit is {HEADER_BYTES}.")
    return found


class Arrays(Mapping[str, Any]):
    """The arrays of a file that is open."""

    def __init__(self, file: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]) -> None:
        self._file = file
        self._members = {name.removesuffix(".npy"): info for name, info in members.items() if name != HEADER}

    def __getitem__(self, key: str) -> np.ndarray[Any, Any]:
        info = self._members[key]
        with self._file.open(info) as member:
            dtype, shape, order = _declared(member, key)
            size = math.prod(shape) * dtype.itemsize
            if member.tell() + size != info.file_size:
                raise Damaged(f"its array {key} is declared with another size than it has.")
            values = bytearray(size)
            for at in range(0, size, _CHUNK):
                memoryview(values)[at : at + _CHUNK] = member.read(min(_CHUNK, size - at))
            member.read()  # to its end, where its checksum is compared
        array: np.ndarray[Any, Any] = np.ndarray(shape, dtype, values, order=order)
        _require_valid(array, key)
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


def _declared(member: IO[bytes], key: str) -> tuple[np.dtype[Any], tuple[int, ...], Any]:
    """Dtype, shape and order of an array, as NumPy's format 1.0 writes them."""
    start = member.read(10)
    if start[:8] != b"\x93NUMPY\x01\x00":
        raise Damaged(f"its array {key} is not one of NumPy's format 1.0.")
    found = _ARRAY.fullmatch(member.read(int.from_bytes(start[8:], "little")))
    if found is None:
        raise Damaged(f"its array {key} does not say in NumPy's words what it is.")
    shape = tuple(int(size) for size in found[3].decode().replace(",", " ").split())
    return np.dtype(found[1].decode()), shape, "F" if found[2] == b"True" else "C"


def _require_valid(array: np.ndarray[Any, Any], key: str) -> None:
    """Some bytes are no value of their dtype, and NumPy finds out when somebody looks."""
    if array.dtype.kind == "b":
        fine = not array.size or array.view(np.uint8).max() <= 1
    elif array.dtype.kind == "U":
        points = np.ascontiguousarray(array.reshape(-1)).view(array.dtype.byteorder.replace("=", "<") + "u4")
        fine = not array.size or points.max(initial=0) <= 0x10FFFF
    else:
        fine = True
    if not fine:
        raise Damaged(f"its array {key} holds bytes that are no values.")
