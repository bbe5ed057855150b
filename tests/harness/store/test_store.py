"""The store under the faults that a results file meets: kills, full disks, other writers, editors, newer versions."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BadInput, CannotWrite
from harness.store import store as store_module
from harness.store.store import Store

REPOSITORY = Path(__file__).resolve().parents[3]


def record(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "status": "ok", "config": {"model": "m", "frames": 9, "in_channels": 2}, **fields}


def ids(store: Store, **options: Any) -> list[str]:
    return [found["id"] for found in store.records(**options)]


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    whole = record("größe ☃", weights={"path": "a \u2028 b\n\"'", "sha256": None}, seed=3, accuracy=None)
    store.append(whole)
    assert store.records() == [{"schema": 1, **whole}]
    assert store.path.read_bytes().count(b"\n") == 1
    assert store.path.read_bytes().isascii()


def test_an_empty_store_has_no_records(tmp_path: Path) -> None:
    assert Store(tmp_path / "nothing").records() == []
    assert Store(tmp_path).find("a") is None


def test_the_newest_record_of_an_id_counts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name, seed in (("a", 1), ("b", 2), ("a", 3)):
        store.append(record(name, seed=seed))
    assert [(found["id"], found["seed"]) for found in store.latest()] == [("b", 2), ("a", 3)]
    assert len(store.records()) == 3
    found = store.find("a")
    assert found is not None
    assert found["seed"] == 3


@pytest.mark.parametrize("block", [1, 7, 300, 1 << 20])
def test_of_many_lines_only_those_that_name_it_are_parsed(
    tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_BLOCK", block)
    store = Store(tmp_path)
    store.path.write_bytes(b"damaged\n")
    for name, seed in (("a", 1), ("größe", 2), ("a", 3), ("b", 4)):
        store.append(record(name, seed=seed, data={"spec": "a"}))
    with store.path.open("ab") as file:
        file.write(json.dumps({"schema": 1, **record("☃", seed=5)}, ensure_ascii=False).encode() + b'\n{"id": "a", "st')
    parsed: list[str] = []
    monkeypatch.setattr(
        store_module.json, "loads", lambda text, **given: (parsed.append(text), json.JSONDecoder().decode(text))[1]
    )
    with pytest.warns(UserWarning, match=f"the record at byte {store.path.read_bytes().rindex(b'{')} was cut short"):
        newest = store.find("a")
    assert newest is not None
    assert newest["seed"] == 3
    assert len(parsed) == 3, "the torn one, b, in which the name stands elsewhere, and its own"
    for name, seed in (("größe", 2), ("☃", 5)):
        found = store.find(name)
        assert found is not None
        assert found["seed"] == seed
    assert store.find("c") is None
    with store.path.open("ab") as file:
        file.write(b'\n{"schema": 1, "id" "b"}\n')
    with pytest.raises(BadInput, match=r"records.jsonl, the line at byte \d+, column 20: Expecting"):
        store.find("b")
    with pytest.warns(UserWarning, match="left out"):
        assert store.find("b", skip_bad=True) is not None


def test_a_record_that_breaks_the_schema_is_not_written(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(BadInput, match="nan"):
        store.append(record("a", environment={"load": float("nan")}))
    assert not store.path.exists()


def test_a_record_cut_at_any_byte_is_dropped_and_the_next_starts_a_new_line(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append(record("first"))
    whole_bytes = store.path.stat().st_size
    store.append(record("second", seed=7))
    content = store.path.read_bytes()
    for cut in range(whole_bytes, len(content) + 1):
        store.path.write_bytes(content[:cut])
        # Without its line feed the record is still whole.
        survives = cut >= len(content) - 1
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert ids(store) == (["first", "second"] if survives else ["first"])
        torn = whole_bytes < cut and not survives
        dropped = f"{store.path}: the record at byte {whole_bytes} was cut short while it was written, and is left out"
        assert [str(warning.message) for warning in caught] == [dropped] * torn
        store.append(record("third"))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert ids(store) == (["first", "second", "third"] if survives else ["first", "third"])
        assert [str(warning.message) for warning in caught] == [dropped] * torn


def test_a_broken_line_in_the_middle_stops_with_its_place(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name in "abc":
        store.append(record(name))
    lines = store.path.read_bytes().splitlines(keepends=True)
    store.path.write_bytes(lines[0] + b'{"schema":1,"id" "b"}\n' + lines[2])
    with pytest.raises(BadInput, match=r"records\.jsonl line 2, column 18: Expecting ':' delimiter"):
        store.records()
    with pytest.warns(UserWarning, match="line 2, column 18"):
        assert ids(store, skip_bad=True) == ["a", "c"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            {"schema": 99, "id": "b", "status": "ok"},
            "line 2 was written by a newer version: its schema is 99, .* up to 1",
        ),
        ({"schema": 1, "status": "ok"}, "line 2 is no record: it has no id"),
        ({"id": "b", "status": "ok"}, "line 2 is no record: it has no schema version"),
        ([1, 2], "line 2 is no record"),
        ({"schema": 1, "id": "b", "status": "ok", "seed": float("nan")}, "line 2 holds NaN"),
    ],
)
def test_what_is_no_record_of_ours_is_refused(tmp_path: Path, line: Any, message: str) -> None:
    store = Store(tmp_path)
    store.append(record("a"))
    with store.path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    with pytest.raises(BadInput, match=message):
        store.latest()
    with pytest.warns(UserWarning, match=message):
        assert ids(store, skip_bad=True) == ["a"]


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.path.write_bytes(b"\x80\x81\n")
    with pytest.raises(BadInput, match="line 1, byte 0 of it: not UTF-8"):
        store.records()


def test_preflight_makes_the_folder_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "results with ☃ and spaces")
    store.preflight()
    assert list(store.folder.iterdir()) == []


def test_preflight_refuses_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("not a folder")
    with pytest.raises(CannotWrite, match=r"results: it is not a folder"):
        Store(tmp_path / "results").preflight()


def test_preflight_refuses_a_missing_parent(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="missing does not exist; make it first"):
        Store(tmp_path / "missing" / "results").preflight()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_preflight_refuses_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CannotWrite, match="no permission"):
        Store(tmp_path).preflight()


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that even root cannot write to")
def test_preflight_refuses_a_folder_that_takes_no_files() -> None:
    with pytest.raises(CannotWrite, match="results folder /proc/self"):
        Store("/proc/self").preflight()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named_with_path_and_bytes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.path.symlink_to("/dev/full")
    with pytest.raises(CannotWrite, match=r"cannot append \d+ bytes to .*records\.jsonl: no space left"):
        store.append(record("a"))


def _limit_file_size() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


def test_a_disk_that_fills_up_leaves_earlier_records_whole(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from harness.errors import CannotWrite\n"
        "from harness.store.store import Store\n"
        "config = {'model': 'm', 'frames': 9, 'in_channels': 2}\n"
        "store = Store(sys.argv[1])\n"
        "try:\n"
        "    for number in range(100):\n"
        "        store.append({'id': str(number), 'status': 'ok', 'config': config})\n"
        "except CannotWrite as error:\n"
        "    print(number)\n"
        "    sys.exit(error.exit_code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=REPOSITORY, preexec_fn=_limit_file_size, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    whole = int(done.stdout)
    assert whole > 5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert ids(Store(tmp_path)) == [str(number) for number in range(whole)]


def test_an_append_waits_for_that_of_another_machine(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append(record("a"))
    with store.path.open("rb") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        writer = threading.Thread(target=store.append, args=(record("b"),))
        writer.start()
        writer.join(0.2)
        assert ids(store) == ["a"]
    writer.join()
    assert ids(store) == ["a", "b"]


def test_a_file_system_without_locks_takes_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    Store(tmp_path).append(record("a"))
    assert ids(Store(tmp_path)) == ["a"]


def test_processes_that_append_at_once_do_not_mix_their_lines(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from harness.store import store\n"
        "store.os.fsync = lambda handle: None  # the disk's speed is not what is tested\n"
        "config = {'model': 'm' * 3000, 'frames': 9, 'in_channels': 2}\n"
        "for number in range(2000):\n"
        "    store.Store(sys.argv[1]).append({'id': f'{sys.argv[2]}-{number}', 'status': 'ok', 'config': config})\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(name)], cwd=REPOSITORY) for name in range(4)
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0, 0]
    with warnings.catch_warnings():
        # A writer may have looked while another's line was half on its way, and have marked nothing.
        warnings.simplefilter("ignore")
        found = ids(Store(tmp_path))
    assert sorted(found) == sorted(f"{name}-{number}" for name in range(4) for number in range(2000))
