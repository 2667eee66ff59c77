"""The file: nothing half-written is left, and damage or hostility is one clear error before memory is taken."""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lgm
from lgm.storage import container
from lgm.storage.container import opened, write


def read(path: Path) -> tuple[Any, dict[str, np.ndarray[Any, Any]]]:
    with opened(path) as (header, arrays):
        return header, dict(arrays)


def sealed(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """A file with these members and the digest that belongs to it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
        file.comment = b"sha256:" + 64 * b"0"
    return resealed(path, buffer.getvalue())


def resealed(path: Path, content: bytes) -> Path:
    raw = io.BytesIO(content[:-64])
    path.write_bytes(content[:-64] + container._digest(raw, len(content) - 64))
    return path


def npy(array: Any, **header: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    if not header:
        return buffer.getvalue()
    declared = {"descr": "<f8", "fortran_order": False, "shape": (1,), **header}
    text = f"{declared}\n".replace("}", ", }").encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + np.asarray(array).tobytes()


def test_the_file_is_a_zip_of_text_and_plain_arrays(tmp_path: Path) -> None:
    arrays = {"a0": np.eye(2), "a1": np.array(["u", "vw"]), "a2": np.asfortranarray(np.arange(6).reshape(2, 3))}
    arrays |= {"a3": np.array(True), "a4": np.zeros((0, 2)), "a5": np.array(["2020"], dtype="M8[D]")}
    write(tmp_path / "f", {"a": 1}, arrays)
    with zipfile.ZipFile(tmp_path / "f") as file:
        assert file.namelist() == ["values.json", *(f"{key}.npy" for key in arrays)]
        assert json.loads(file.read("values.json")) == {"a": 1}
        np.testing.assert_array_equal(np.load(io.BytesIO(file.read("a1.npy"))), ["u", "vw"])
    header, found = read(tmp_path / "f")
    assert header == {"a": 1} and sorted(found) == sorted(arrays)
    for key, array in arrays.items():
        np.testing.assert_array_equal(found[key], array)
        assert found[key].dtype == array.dtype and found[key].flags.writeable


def test_arrays_of_objects_are_never_pickled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle=False"):
        write(tmp_path / "f", {}, {"a0": np.array([print], dtype=object)})
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / "f", {"a": 1}, {})
    with pytest.raises(TypeError):
        write(tmp_path / "f", {"a": print}, {})
    assert read(tmp_path / "f")[0] == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_the_file_may_be_read_by_whom_the_user_lets_read_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "f", {}, {})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640
    (tmp_path / "f").chmod(0o600)  # and stays as the user made it
    write(tmp_path / "f", {}, {})
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"there is no such folder: '{tmp_path / 'nowhere'}'"):
        write(tmp_path / "nowhere" / "f", {}, {})


def test_long_names_and_links(tmp_path: Path) -> None:
    long = tmp_path / ("n" * 255)
    write(long, {"a": 1}, {})
    assert read(long)[0] == {"a": 1}
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to(Path("real") / "f")
    for value in (1, 2):  # a link that leads nowhere yet, and one that leads to a file
        write(link, {"a": value}, {})
        assert link.is_symlink() and read(tmp_path / "real" / "f")[0] == read(link)[0] == {"a": value}
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["f"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_what_killed_saves_leave_is_removed_and_running_saves_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".lgm-save-mine.tmp").touch()
    raw, name = container._temporary(tmp_path)
    write(tmp_path / "f", {"a": 1}, {})
    assert Path(name).exists()
    raw.close()  # as the system does for a process that is killed
    write(tmp_path / "g", {"a": 1}, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lgm-save-mine.tmp", "f", "g"]


_KILLS = """
import os, signal, sys, time
import numpy as np
from lgm.storage.container import opened, write

path, rng = sys.argv[1], np.random.default_rng(0)
write(path, {"k": -1}, {"a0": np.full(20_000, -1)})
for _ in range(40):
    child = os.fork()
    while not child:
        k = time.time_ns()
        write(path, {"k": k}, {"a0": np.full(20_000, k)})
    time.sleep(rng.uniform(0.0, 0.1))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with opened(path) as (header, arrays):
        assert np.all(arrays["a0"] == header["k"])
assert header["k"] > 0
write(path, {"k": 0}, {})
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_saving_survives_being_killed(tmp_path: Path) -> None:
    """After every kill the file is whole: the one before or the new one. A process of its own, which may fork."""
    done = subprocess.run([sys.executable, "-c", _KILLS, tmp_path / "f"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["f"]


def test_threads_save_beside_each_other(tmp_path: Path) -> None:
    def save(k: int) -> None:
        for _ in range(10):
            write(tmp_path / "f", {"k": k}, {"a0": np.full(1000, k)})

    threads = [threading.Thread(target=save, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    header, arrays = read(tmp_path / "f")
    assert np.all(arrays["a0"] == header["k"])
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 broken", b"sha256:" + 64 * b"0"], ids=repr)
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(lgm.LgmError, match=r"f is not a file that fit.save\(\) wrote, or it is damaged: "):
        read(tmp_path / "f")


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    write(tmp_path / "f", {"a": 1}, {"a0": np.arange(3.0)})
    content = (tmp_path / "f").read_bytes()
    for place in np.random.default_rng(0).choice(8 * len(content), 200, replace=False):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << (place % 8)
        (tmp_path / "f").write_bytes(damaged)
        with pytest.raises(lgm.LgmError, match="or it is damaged"):
            read(tmp_path / "f")
    for size in range(0, len(content), 7):
        (tmp_path / "f").write_bytes(content[:size])
        with pytest.raises(lgm.LgmError, match="or it is damaged"):
            read(tmp_path / "f")


HUGE = 10**10
HOSTILE: dict[str, Callable[[], dict[str, bytes]]] = {
    "no header": lambda: {"a0.npy": npy(np.ones(3))},
    "another member": lambda: {"values.json": b"{}", "../../x": b""},
    "no JSON": lambda: {"values.json": b"{'a': 1}"},
    "no UTF-8": lambda: {"values.json": b'"\xff"'},
    "deep JSON": lambda: {"values.json": b"[" * 10**6 + b"]" * 10**6},
    "a number without end": lambda: {"values.json": b"9" * 10**5},
    "a pickle": lambda: {"values.json": b"{}", "a0.npy": npy(np.array([print], dtype=object))},
    "a pickle called floats": lambda: {"values.json": b"{}", "a0.npy": npy(np.ones(1), descr="|O")},
    "a large shape": lambda: {"values.json": b"{}", "a0.npy": npy(np.ones(1), shape=(HUGE,))},
    "a product that overflows": lambda: {"values.json": b"{}", "a0.npy": npy(np.ones(1), shape=(2**32, 2**32, 1))},
    "a large empty shape": lambda: {"values.json": b"{}", "a0.npy": npy(np.ones(0), shape=(0, 10**18, 10**18))},
    "a small shape": lambda: {"values.json": b"{}", "a0.npy": npy(np.ones(2), shape=(1,))},
    "a negative shape": lambda: {"values.json": b"{}", "a0.npy": npy(np.ones(1), shape=(-1,))},
    "wide text": lambda: {"values.json": b"{}", "a0.npy": npy(np.ones(1), descr="<U999999999")},
    "fields": lambda: {"values.json": b"{}", "a0.npy": npy(np.ones(1), descr=[("x", "<f8")])},
    "Python for a header": lambda: {"values.json": b"{}", "a0.npy": npy(np.ones(1), shape="(" * 500)},
    "another format": lambda: {"values.json": b"{}", "a0.npy": b"\x93NUMPY\x02" + npy(np.ones(1))[7:]},
    "cut": lambda: {"values.json": b"{}", "a0.npy": npy(np.ones(1))[:20]},
    "no character": lambda: {"values.json": b"{}", "a0.npy": npy(np.array([2**31 - 1], "<i4"), descr="<U1")},
    "no boolean": lambda: {"values.json": b"{}", "a0.npy": npy(np.array([7], "u1"), descr="|b1")},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_with_the_right_digest_are_refused(name: str, tmp_path: Path) -> None:
    path = sealed(tmp_path / "f", HOSTILE[name]())
    with pytest.raises(lgm.LgmError, match="or it is damaged"):
        read(path)


def test_nothing_is_unpacked_that_is_larger_than_the_file(tmp_path: Path) -> None:
    bomb = sealed(tmp_path / "f", {"values.json": b"{}", "a0.npy": npy(np.zeros(10**6))}, zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 10**4
    with pytest.raises(lgm.LgmError, match="compressed"):
        read(bomb)
    sealed(tmp_path / "f", {"values.json": b"{}", "a0.npy": npy(np.zeros(10**4))})
    with zipfile.ZipFile(tmp_path / "f", "a") as file:  # many names for the same bytes
        for k in range(1, 9):
            twin = zipfile.ZipInfo(f"a{k}.npy")
            original = file.getinfo("a0.npy")
            for part in ("file_size", "compress_size", "CRC", "header_offset"):
                setattr(twin, part, getattr(original, part))
            file.filelist.append(twin)
        file._didModify = True  # type: ignore[attr-defined]
    with pytest.raises(lgm.LgmError, match="overlap"):
        read(resealed(tmp_path / "f", (tmp_path / "f").read_bytes()))


def test_a_header_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "f", {"a": "b" * 100}, {})
    monkeypatch.setattr(container, "HEADER_BYTES", 50)
    with pytest.raises(lgm.LgmError, match=r"values.json has 108 bytes; the limit is 50"):
        read(tmp_path / "f")
    with pytest.raises(lgm.LgmError, match="Nothing was written"):
        write(tmp_path / "g", {"a": "b" * 100}, {})
    assert not (tmp_path / "g").exists()


def test_members_that_nobody_asks_for_are_not_read(tmp_path: Path) -> None:
    path = sealed(tmp_path / "f", {"values.json": b"{}", "a0.npy": npy(np.ones(1)), "a1.npy": b"no array"})
    with opened(path) as (_, arrays):
        assert arrays["a0"] == 1
    with pytest.raises(lgm.LgmError, match="NumPy's format"):
        read(path)
