"""Runs from machine to machine in one file, and the files that only look like that."""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.core.errors import UsageError
from harness.core.run import Run
from harness.core.run_description import INTERRUPTED
from harness.store import schema, unbundle
from harness.store.bundle import LARGEST, write_bundle
from harness.store.read import read_run
from harness.store.unbundle import Unbundled, is_bundle, unpack_bundle

ID = "20260101T000000Z-work-012345"
Record = Callable[..., Run]
Member = tuple[str | zipfile.ZipInfo, bytes]


def packed(path: Path, members: Iterable[Member], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, data in members:
            if isinstance(name, zipfile.ZipInfo):
                name.compress_type = method
            archive.writestr(name, data)
    return path


def brought(path: Path, results: Path) -> Unbundled:
    return unbundle.import_bundle(path, results)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_runs_arrive_on_another_machine_as_they_left(record: Record, tmp_path: Path) -> None:
    run, other = record({"base": [[1e-3, 1.1e-3]]}), record({"base": "error: it broke"}, state=INTERRUPTED)
    (run.folder / "report.html").write_text("<p>not taken along</p>")
    (tmp_path / "a.zip").write_bytes(write_bundle([run, other]))
    found = brought(tmp_path / "a.zip", tmp_path / "far" / "away")
    assert found.new == tuple(sorted((tmp_path / "far" / "away" / run.id, tmp_path / "far" / "away" / other.id)))
    again = read_run(tmp_path / "far" / "away" / run.id)
    assert (again.description, again.trials) == (run.description, run.trials)
    (run.folder / "report.html").unlink()
    assert contents(tmp_path / "far" / "away") == contents(tmp_path / "results")
    assert f"{other.id}/journal.jsonl" in contents(tmp_path / "far" / "away")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "far", "results"]


def test_the_same_runs_are_the_same_bytes(record: Record) -> None:
    runs = [record({"base": [[1e-3]]}), record({"base": [[2e-3]]})]
    first = write_bundle(runs)
    os.utime(runs[0].folder / "run.json", (0, 0))
    (runs[0].folder / "journal.jsonl").touch()  # what a run that was killed at its very end leaves
    assert write_bundle([*runs[::-1], runs[0]]) == first


def test_a_run_that_is_there_already_is_left_as_it_is_and_never_replaced(record: Record, tmp_path: Path) -> None:
    run, new = record({"base": [[1e-3]]}), record({"base": [[2e-3]]}, results=tmp_path / "others")
    (tmp_path / "a.zip").write_bytes(write_bundle([run, new]))
    found = brought(tmp_path / "a.zip", tmp_path / "results")
    assert (found.new, found.known) == ((tmp_path / "results" / new.id,), (run.folder,))
    (run.folder / "run.json").write_text((run.folder / "run.json").read_text() + "\n")
    before = contents(tmp_path)
    with pytest.raises(UsageError, match=f"{run.id} is there already, with another content; nothing was imported"):
        brought(tmp_path / "a.zip", tmp_path / "results")
    assert contents(tmp_path) == before


def test_a_run_of_the_first_version_arrives_too(record: Record, tmp_path: Path) -> None:
    run = record({"base": [[1e-3, 2e-3]]})
    later = ["uncertainty", "provenance", "executed"]
    for path in run.folder.glob("*.parquet"):
        table = pq.read_table(path)
        pq.write_table(table.drop_columns([name for name in later if name in table.column_names]), path)
    (run.folder / "run.json").write_text(json.dumps({**run.description.to_json(), "schema_version": 1}))
    (tmp_path / "a.zip").write_bytes(write_bundle([read_run(run.folder)]))
    (folder,) = brought(tmp_path / "a.zip", tmp_path / "far").new
    assert [sample.value for sample in read_run(folder).trials[0].samples] == [1e-3, 2e-3]


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("a.zip", b"", True),
        ("a.ZIP", b"{}", True),
        ("a.json", b"PK\x03\x04...", True),
        ("a", b"PK\x05\x06" + bytes(18), True),
        ("a.json", b'{"a": "PK\x03\x04"}', False),
        ("a.json", b"", False),
    ],
)
def test_a_bundle_is_known_by_its_name_or_its_first_bytes(
    tmp_path: Path, name: str, content: bytes, wanted: bool
) -> None:
    (tmp_path / name).write_bytes(content)
    assert is_bundle(tmp_path / name) is wanted


def test_a_pipe_is_not_looked_into(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever
    assert not is_bundle(tmp_path / "pipe")
    assert not is_bundle(tmp_path / "nowhere")


def entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def with_nul() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(f"{ID}/run.json")
    info.filename += "\0.txt"  # what many readers cut off
    return info


def changed(offset_local: int, offset_central: int, value: bytes, data: bytes = b"x" * 5000) -> bytes:
    """Return a zip file with one member, of whose two headers a field is something else."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{ID}/run.json", data)
    bytes_ = bytearray(content.getvalue())
    central = bytes_.index(b"PK\x01\x02")
    for start in (offset_local, central + offset_central):
        bytes_[start : start + len(value)] = value
    return bytes(bytes_)


def sized(size: int, data: bytes = b"x" * 5000) -> bytes:
    return changed(22, 24, struct.pack("<I", size), data)


def damaged() -> bytes:
    content = bytearray(changed(0, 0, b"", os.urandom(3000)))
    content[1000] ^= 0xFF
    return bytes(content)


NOT_OF_A_RUN = [
    "../run.json",
    f"../{ID}/run.json",
    f"{ID}/../../run.json",
    f"{ID}/../{ID}/run.json",
    "/etc/run.json",
    f"/{ID}/run.json",
    "C:/run.json",
    f"C:{ID}/run.json",
    f"{ID}\\run.json",
    f"..\\{ID}/run.json",
    f"{ID}/",
    f"{ID}/report.html",
    f"{ID}/RUN.JSON",
    f"{ID}/sub/run.json",
    "run.json",
    "runs/run.json",
    f".{ID}/run.json",
    f"{ID}\n/run.json",
    f"{ID}-base/../x/run.json",
    "２０２６0101T000000Z-work-012345/run.json",  # noqa: RUF001
    f"{ID.replace('work', 'wo rk')}/run.json",
]
HOSTILE: dict[str, tuple[bytes | list[Member], str]] = {
    **{repr(name): ([(name, b"{}")], "is not a file of a run") for name in NOT_OF_A_RUN},
    "NUL": ([(with_nul(), b"{}")], "is not a file of a run"),
    "link": ([(entry(f"{ID}/run.json", stat.S_IFLNK | 0o777), b"/etc/passwd")], "is a link, a folder or a device"),
    "device": ([(entry(f"{ID}/run.json", stat.S_IFCHR | 0o666), b"")], "is a link, a folder or a device"),
    "pipe": ([(entry(f"{ID}/run.json", stat.S_IFIFO | 0o666), b"")], "is a link, a folder or a device"),
    "twice": ([(f"{ID}/run.json", b"{}"), (f"{ID}/run.json", b"[]")], "is there twice"),
    "encrypted": (changed(6, 8, b"\x01"), "the member .* is encrypted$"),
    "method": (changed(8, 10, b"\x63"), r"is compressed in another way \(method 99\)"),
    "no zip": (b"PK\x03\x04" + b"nothing" * 100, "not a zip file, or a damaged one"),
    "empty file": (b"", "not a zip file, or a damaged one"),
    "empty zip": (b"PK\x05\x06" + bytes(18), "an empty zip file"),
    "truncated": (sized(5000)[:-30], "not a zip file, or a damaged one"),
    "damaged": (damaged(), "not a zip file, or a damaged one"),
    "pickle": (b"cos\nsystem\n(S'touch executed'\ntR.", "not a zip file, or a damaged one"),
    "says less": (sized(100), "says that it has 100 bytes, and has 5000"),
    "says more": (sized(6000), "says that it has 6000 bytes, and has 5000"),
    "says too much": (sized((32 << 20) + 1), "is larger than 32 MiB"),
    "bomb": (sized(20 << 20, bytes(20 << 20)), "unpacks to more than 1024 MiB or 300 times its size"),
    "bomb that lies": (sized(100, bytes(20 << 20)), "unpacks to more than [0-9]{7} bytes"),
    "crowd": ([(f"{ID}/{number}", b"") for number in range(1001)], "1001 members: more than 200 runs have"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_no_bundle_is_refused_and_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    content, message = HOSTILE[name]
    path = tmp_path / "a.zip"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        packed(path, content)
    place = tmp_path / "inner" / "place"
    place.mkdir(parents=True)
    with pytest.raises(UsageError, match=message) as caught:
        unpack_bundle(path, place)
    assert str(caught.value).isprintable()
    outside = [found for found in tmp_path.rglob("*") if not found.is_relative_to(place)]
    assert sorted(outside) == [path, place.parent]
    assert not any(found.is_symlink() for found in place.rglob("*"))


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.zip")  # opening it would wait for ever
    (tmp_path / "folder.zip").mkdir()
    for name, message in (("pipe.zip", "not a file"), ("folder.zip", "not a file"), ("none.zip", "no such file")):
        with pytest.raises(UsageError, match=f"^{message}$"):
            unpack_bundle(tmp_path / name, tmp_path)


def test_a_method_that_bundles_do_not_use_is_refused_though_python_knows_it(tmp_path: Path) -> None:
    packed(tmp_path / "a.zip", [(f"{ID}/run.json", b"{}")], zipfile.ZIP_LZMA)
    with pytest.raises(UsageError, match=r"is compressed in another way \(method 14\)"):
        unpack_bundle(tmp_path / "a.zip", tmp_path)


def test_all_members_together_may_not_be_larger_than_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{ID}/{name}" for name in LARGEST]
    packed(tmp_path / "a.zip", [(name, os.urandom(300_000)) for name in names])
    monkeypatch.setattr(unbundle, "LARGEST_TOTAL", 1_000_000)
    with pytest.raises(UsageError, match="unpacks to more than"):
        unpack_bundle(tmp_path / "a.zip", tmp_path)
    assert not (tmp_path / ID).exists()


@pytest.mark.parametrize("what", ["link", "pickle", "bomb", "damaged", repr(f"../{ID}/run.json")])
def test_what_is_refused_leaves_nothing_behind(tmp_path: Path, what: str) -> None:
    content, message = HOSTILE[what]
    path = tmp_path / "a.zip"
    _ = path.write_bytes(content) if isinstance(content, bytes) else packed(path, content)
    with pytest.raises(UsageError, match=f"^{path}: .*{message}"):
        brought(path, tmp_path / "new" / "results")
    assert list(tmp_path.iterdir()) == [path]


def test_one_bad_run_among_good_ones_keeps_all_of_them_out(record: Record, tmp_path: Path) -> None:
    run = record({"base": [[1e-3]]})
    members: list[Member] = [(f"{run.id}/{path.name}", path.read_bytes()) for path in run.folder.iterdir()]
    packed(tmp_path / "a.zip", [*members, (f"{ID}/run.json", b"{}")])
    with pytest.raises(UsageError, match=f"{ID}/run.json: 'schema_version' is missing"):
        brought(tmp_path / "a.zip", tmp_path / "far")
    assert not (tmp_path / "far").exists()


def test_a_table_that_explodes_in_memory_is_refused(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = record({"base": [[1e-3] * 20_000]})
    table = pq.read_table(run.folder / schema.SAMPLES)
    column = table.schema.get_field_index("flags")
    # Kept once, and 2 GB for a reader.
    flags = pa.DictionaryArray.from_arrays(pa.array([0] * len(table), pa.int32()), ["x" * 100_000])
    pq.write_table(table.set_column(column, "flags", flags), run.folder / schema.SAMPLES, store_schema=False)
    (tmp_path / "a.zip").write_bytes(write_bundle([run]))
    assert (tmp_path / "a.zip").stat().st_size < 1 << 20
    monkeypatch.setattr(unbundle, "MEMORY", 512 << 20)
    with pytest.raises(UsageError, match="takes more than 512 MiB of memory to read"):
        brought(tmp_path / "a.zip", tmp_path / "far")
    assert not (tmp_path / "far").exists()


def test_a_run_that_import_would_not_take_is_not_packed(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = record({"base": [[1e-3]]})
    with pytest.raises(UsageError, match="'mine' is not the name that a run was given"):
        write_bundle([replace(run, description=replace(run.description, id="mine"))])
    monkeypatch.setitem(LARGEST, schema.SAMPLES, 100)
    with pytest.raises(UsageError, match=r"samples\.parquet: too large for a bundle"):
        write_bundle([run])
