"""Small files that say they are large, lead elsewhere, or make a reader work without end: refused, and cheaply."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import zipfile
import zlib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness import checkpoint_file, models, npy_array, zip_members
from harness.classification import hdf5
from harness.data import acclaim, bvh, unpickle
from harness.data.archive import read_arrays
from harness.errors import BadInput
from harness.store import traces as trace_file
from harness.store.record import RUNS
from harness.store.store import Store
from harness.training import checkpoint
from tests.fuzz.arrays import npy
from tests.fuzz.bounds import AskedForTooMuch, within_bounds
from tests.fuzz.checkpoints import saved
from tests.fuzz.damage import unzipped, zipped
from tests.harness.data.figures import amc_text, asf_text, bvh_text, standing

GIGABYTE = 1 << 30


def refused(read: Callable[..., Any], *arguments: Any, match: str) -> None:
    with pytest.raises(BadInput, match=match), within_bounds():
        read(*arguments)


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, bytes | str], Path]:
    def written(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return written


def bomb(name: str, said_bytes: int = GIGABYTE) -> bytes:
    """A zip whose one member is a gigabyte of zeros, packed, and says to be ``said_bytes`` long."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    # After a full flush nothing before is referred to, so that the piece can be repeated as it is.
    piece = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = piece * 1024 + packer.flush()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, packed)
        info = archive.infolist()[0]
        info.compress_type, info.file_size = zipfile.ZIP_DEFLATED, said_bytes
    whole = bytearray(stream.getvalue())
    whole[8:10] = zipfile.ZIP_DEFLATED.to_bytes(2, "little")  # as the directory says, so does the member's own header
    return bytes(whole)


READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "archive": ("a.npy", read_arrays),
    "traces": ("truth.npy", trace_file.load),
    "checkpoint": ("archive/data/0", checkpoint_file.read),
}


@pytest.mark.parametrize("kind", READERS)
def test_a_zip_bomb(kind: str, put: Callable[..., Path]) -> None:
    member, read = READERS[kind]
    refused(read, put("w.npz", bomb(member)), match=r"refused, since [\d,]+ bytes would unpack to 1,073,741,8")


@pytest.mark.parametrize("kind", ["archive", "traces"])
def test_a_zip_bomb_that_says_it_is_short(kind: str, put: Callable[..., Path]) -> None:
    member, read = READERS[kind]
    refused(read, put("w.npz", bomb(member, said_bytes=100)), match=r"w\.npz.*Bad CRC-32")


def test_a_bound_is_not_met_by_what_packs_well(put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_members, "ALWAYS_ALLOWED_BYTES", 0)
    stream = io.BytesIO()
    np.savez_compressed(stream, a=np.repeat(standing(3), 50, axis=0), b=np.ones((150, 17), np.float32))
    assert read_arrays(put("set.npz", stream.getvalue()))["a"].shape == (150, 17, 3)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    "name", ["../a.npy", "/etc/a.npy", "a/../../b.npy", "..\\a.npy", "C:\\a.npy", "\\\\host\\a.npy"]
)
def test_a_member_that_leads_elsewhere(kind: str, name: str, put: Callable[..., Path]) -> None:
    _, read = READERS[kind]
    refused(read, put("w.npz", zipped({name: npy(np.zeros(3))})), match="refused, since its member '")


@pytest.mark.parametrize("kind", READERS)
def test_two_members_of_one_name(kind: str, put: Callable[..., Path]) -> None:
    # A zip with two names of one length, of which the second then becomes the first.
    whole = zipped({"a.npy": npy(np.zeros(3)), "b.npy": npy(np.ones(3))}).replace(b"b.npy", b"a.npy")
    refused(READERS[kind][1], put("w.npz", whole), match=r"two members called 'a\.npy'")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_that_numpy_does_not_pack_by(method: int, put: Callable[..., Path]) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("a.npy", npy(np.zeros(3)))
    refused(read_arrays, put("w.npz", stream.getvalue()), match="is packed by a method that is not read here")


def _npy(shape: str, descr: str = "'<f4'", content: bytes = b"") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


@pytest.mark.parametrize(
    "content",
    [
        _npy("(1000000000,)", content=bytes(64)),
        _npy("(1000000000000000,)"),
        _npy("(3,)", content=bytes(8)),
        _npy("(1,)", content=bytes(8)),
        _npy("(-1,)"),
        _npy("(1000000000000,)", "'|V0'"),
        _npy("(2,)", "[('a', '|O')]", bytes(16)),
        _npy("-" * 3000 + "1"),
        _npy("{[]: 1}"),
    ],
)
def test_an_array_of_another_length_than_its_header_says(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"its header|Python objects"), within_bounds():
        npy_array.parse(content)


def test_a_dataset_that_was_never_written(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", (10_000_000, 1024, 3), "f4", chunks=(64, 1024, 3))
        file.create_dataset("label", data=np.zeros(3))
    refused(hdf5.read, tmp_path / "a.h5", 40, match="refused, since 'data' would unpack to 122,880,000,000 bytes")


@pytest.mark.parametrize("kind", ["external link", "soft link", "external storage", "virtual"])
def test_a_dataset_that_lies_elsewhere(kind: str, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path, other = tmp_path / "a.h5", tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file.create_dataset("secret", data=np.zeros((2, 8, 3), np.float32))
    with h5py.File(path, "w") as file:
        file.create_dataset("label", data=np.zeros(2))
        if kind == "external link":
            file["data"] = h5py.ExternalLink(str(other), "/secret")
        elif kind == "soft link":
            file["hop"] = h5py.ExternalLink(str(other), "/")
            file["data"] = h5py.SoftLink("/hop/secret")
        elif kind == "external storage":
            file.create_dataset("data", (2, 8, 3), "f4", external=[(str(other), 0, 2 * 8 * 3 * 4)])
        else:
            layout = h5py.VirtualLayout((2, 8, 3), "f4")
            layout[:] = h5py.VirtualSource(str(other), "secret", (2, 8, 3))
            file.create_virtual_dataset("data", layout)
    refused(hdf5.read, path, 40, match=r"a\.h5: refused, since .*'data' (is a link to elsewhere|lie in other files)")


def _call(name: str, arguments: bytes) -> bytes:
    return pickle.GLOBAL + name.replace(" ", "\n").encode() + b"\n" + arguments + pickle.REDUCE


_BILLION = pickle.BININT + (1 << 30).to_bytes(4, "little")
_ONE = pickle.TUPLE1
_RANGE = _call("builtins range", _BILLION + _ONE)
_OBJECTS = pickle.dumps(np.array([None], dtype=object), 2).replace(b"K\x01\x85", _BILLION + b"\x85")
_LONG_TEXT = pickle.BINUNICODE + (1 << 20).to_bytes(4, "little") + b"a" * (1 << 20) + b"q\x00"
_COPY = pickle.GLOBAL + b"builtins\nbytearray\nq\x01"


@pytest.mark.parametrize(
    "program",
    [
        _call("builtins bytearray", _BILLION + _ONE),
        _call("builtins bytes", _BILLION + _ONE),
        _call("builtins set", _RANGE + _ONE),
        _call("builtins bytearray", _RANGE + _ONE),
        b"]" + _call("builtins slice", b"K\x00K\x00\x86") + _RANGE + pickle.SETITEM,
        _LONG_TEXT + _COPY + b"]" + (b"h\x01h\x00\x58\x06\x00\x00\x00latin1\x86R" + b"a") * 2000,
        _call("_codecs encode", _call("_codecs encode", b"X\x01\x00\x00\x00aX\x06\x00\x00\x00latin1\x86")
              + b"X\x03\x00\x00\x00hex\x86"),
        b"}" + pickle.NONE + pickle.TUPLE1 * 300_000 + b"K\x01" + pickle.SETITEM,
        pickle.EMPTY_SET + pickle.MARK + pickle.NONE + pickle.TUPLE1 * 300_000 + pickle.ADDITEMS,
        pickle.MARK + pickle.NONE + pickle.TUPLE1 * 300_000 + pickle.FROZENSET,
        pickle.MARK + pickle.NONE + pickle.TUPLE1 * 300_000 + b"K\x01" + pickle.DICT,
        pickle.BINUNICODE8 + (1 << 36).to_bytes(8, "little"),
        pickle.FRAME + (1 << 36).to_bytes(8, "little"),
    ],
)  # fmt: skip
def test_a_pickle_that_makes_much_of_little(program: bytes, put: Callable[..., Path]) -> None:
    refused(unpickle.read, put("a.pkl", b"\x80\x04" + program + b"."), match="a.pkl: is no pickle, or damaged")


def test_an_object_array_longer_than_its_list() -> None:
    assert _OBJECTS.count(_BILLION) == 1
    refused(unpickle.loads, _OBJECTS, "a.pkl", match="an array of 1073741824 values and other contents")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bvh_text([{}]).replace("Frames: 1", "Frames: 999999999"), "declares 999999999 frames and holds 1"),
        (bvh_text([{}]).replace("Frames: 1", "Frames: " + "9" * 5000), "'Frames: N' with N at least 1"),
        ("HIERARCHY ROOT a { OFFSET 0 0 0 " + "JOINT b { OFFSET 0 0 0 " * 5000, "more than 500 joints"),
        ("HIERARCHY ROOT a { OFFSET 0 0 0 CHANNELS 999999999 Xposition", "channels; expected 0 to 6"),
        ("HIERARCHY ROOT a { OFFSET 0 0 0 CHANNELS 2.5 Xposition", "2.5 channels; expected 0 to 6"),
        ("HIERARCHY ROOT a { OFFSET 0 0 0 CHANNELS 2 Xposition Xposition }", "a channel is named twice"),
        ("HIERARCHY ROOT " + "a" * 100_000 + "{ OFFSET 0 0 0", "a name of 100000 letters"),
        (
            "HIERARCHY ROOT a { OFFSET 0 0 0 CHANNELS 1 Xposition " + "End Site { OFFSET 0 0 0 } " * 400
            + "}\nMOTION\nFrames: 100000\nFrame Time: 0.1\n" + "0\n" * 100_000,
            "401 joints have 1 channels",
        ),
    ],
)  # fmt: skip
def test_a_bvh_file_of_more_than_a_figure(text: str, message: str, put: Callable[..., Path]) -> None:
    refused(bvh.read, put("a.bvh", text), match=message)


def _asf(extra_bones: int) -> str:
    bones = "".join(f"begin\nname x{index}\nend\n" for index in range(extra_bones))
    links = "".join(f"root x{index}\n" for index in range(extra_bones))
    head, tail = asf_text().split(":hierarchy\nbegin\n")
    return f"{head}{bones}:hierarchy\nbegin\n{links}{tail}"


@pytest.mark.parametrize(("bones", "message"), [(600, "more than 500 bones"), (400, "418 bones have 44 degrees")])
def test_a_skeleton_of_more_than_a_person(bones: int, message: str, put: Callable[..., Path]) -> None:
    refused(acclaim.read_skeleton, put("a.asf", _asf(bones)), match=message)


def test_a_skeleton_with_a_freedom_twice(put: Callable[..., Path]) -> None:
    text = asf_text().replace("dof ry rz", "dof ry ry", 1)
    refused(acclaim.read_skeleton, put("a.asf", text), match="a degree of freedom is named twice: ry ry")


def test_a_frame_number_without_end(put: Callable[..., Path]) -> None:
    skeleton = acclaim.read_skeleton(put("a.asf", asf_text()))
    text = amc_text([{}]).replace("\n1\n", "\n" + "9" * 5000 + "\n")
    refused(acclaim.read_motion, put("a.amc", text), skeleton, match="a frame number of 5000 digits")


def _checkpoint(numbers: int, held: int) -> bytes:
    """A checkpoint whose one tensor says to have ``numbers`` and has ``held``."""
    members = unzipped(saved({"w": torch.zeros(held)}))
    name = next(name for name in members if name.endswith("data.pkl"))
    said = pickle.BININT2 + held.to_bytes(2, "little")
    assert members[name].count(said) == 2  # the storage's length, and the tensor's
    return zipped({**members, name: members[name].replace(said, pickle.BININT + numbers.to_bytes(4, "little"))})


def test_a_tensor_longer_than_its_storage(put: Callable[..., Path]) -> None:
    network = torch.nn.Linear(1000, 1, bias=False)
    refused(checkpoint_file.load, network, put("w.pt", _checkpoint(1 << 30, 1000)), match="checkpoint .* is damaged")


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.zeros(2, 2).to_sparse(), "sparse, quantized, complex or without contents: weight"),
        (torch.zeros(2, 2, dtype=torch.complex64), "sparse, quantized, complex or without contents: weight"),
        (torch.zeros(2, 2, device="meta"), "sparse, quantized, complex or without contents: weight"),
        (torch.zeros(2, 2, dtype=torch.int8), r"whole numbers \(torch.int8\) in place of weights: weight"),
        (torch.zeros(1).expand(1 << 20, 1 << 20), r"weight \(1048576, 1048576\) against \(2, 2\)"),
    ],
    ids=["sparse", "complex", "meta", "whole", "expanded"],
)
def test_tensors_that_are_no_weights(tensor: torch.Tensor, message: str, put: Callable[..., Path]) -> None:
    network = torch.nn.Linear(2, 2, bias=False)
    refused(checkpoint_file.load, network, put("w.pt", saved({"weight": tensor})), match=message)


@pytest.mark.parametrize(
    ("value", "fits"), [(7.0, True), (0.7, False), (float("nan"), False), (1e30, False), (-2.0, True)]
)
def test_a_buffer_of_whole_numbers_holds_no_others(value: float, fits: bool, put: Callable[..., Path]) -> None:
    network = torch.nn.Module()
    network.register_buffer("steps", torch.zeros(2, dtype=torch.int64))
    path = put("w.pt", saved({"steps": torch.full((2,), value)}))
    if fits:
        checkpoint_file.load(network, path)
        assert network.steps.tolist() == [value, value]
    else:
        refused(checkpoint_file.load, network, path, match=r"numbers \(torch.float32\) that .*int64 cannot: steps")
        assert network.steps.tolist() == [0, 0]


def _pointed(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    pointer = {"file": name, "sha256": hashlib.sha256(content).hexdigest(), "step": 1}
    (folder / checkpoint.POINTER).write_text(json.dumps(pointer))


def test_a_pointer_out_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in ("../w.pt", str(tmp_path / "w.pt")):
        _pointed(tmp_path / "run", name, saved({"step": 1}))
        refused(checkpoint.load, tmp_path / "run", match="which lies outside of its folder. Restore it, or start")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bomb("archive/data/0"), "refused, since"),
        (saved({"step": Decimal(1)}), r"it holds decimal\.Decimal; a checkpoint may hold tensors"),
        (saved([1]), "holds a list"),
        (b"half a checkpoint", "is damaged or not a checkpoint"),
    ],
    ids=["bomb", "class", "list", "damaged"],
)
def test_a_checkpoint_that_no_training_saves(content: bytes, message: str, tmp_path: Path) -> None:
    _pointed(tmp_path, "step-00000001.pt", content)
    refused(checkpoint.load, tmp_path, match=f"cannot go on from the checkpoint: .*{message}.* --again")


@pytest.mark.parametrize(
    ("value", "kind"), [(np.array(["2020"], "M8[Y]"), "datetime64"), (np.zeros(2, "m8[s]"), "timedelta64")]
)
def test_a_pickle_of_times_is_no_damage(value: Any, kind: str) -> None:
    refused(unpickle.loads, pickle.dumps({"t": value}), "a.pkl", match=f"^a.pkl: refused, since it holds {kind}: ")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[" * 100_000 + "]" * 100_000, "line 1 is no record"),
        ("9" * 5000, "line 1 is no record"),
        ("1e999", "line 1 holds 1e999, which is neither JSON nor a figure"),
        ("-1e999", "line 1 holds -1e999"),
    ],
    ids=["deep", "long", "infinite", "below"],
)
def test_a_record_of_what_json_allows(value: str, message: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    whole = json.dumps({"schema": 1, "id": "a", "status": "ok", "seed": 0})
    store.path.write_text(whole.replace('"seed": 0', f'"seed": {value}') + "\n" + whole + "\n")
    refused(store.records, match=message)
    with pytest.warns(UserWarning, match=message):
        assert len(store.records(skip_bad=True)) == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("curve_end", [5, 4], "curve_end does not rise"),
        ("curve_end", [-1, 5], "curve_end does not rise"),
        ("curve_end", [2, 9], "curve_p1_mm has shape"),
        ("truth", np.zeros((3, 16, 3), np.int16), "truth has shape"),
        ("excerpt", [-1], "an excerpt is of a sequence that is not there"),
        ("excerpt_reason", ["because"], "unknown reason 'because'"),
        ("fps", [np.inf], "fps is not finite"),
    ],
)
def test_traces_that_are_out_of_order(name: str, value: Any, message: str, put: Callable[..., Path]) -> None:
    arrays = {
        "sequence": np.array(["a", "b"]), "take": np.array(["a", "b"]), "action": np.array(["x", "x"]),
        "step_s": np.array([0.1, 0.1]), "curve_end": np.array([2, 5]), "curve_p1_mm": np.zeros(5, np.float32),
        "excerpt": np.array([1]), "excerpt_reason": np.array(["worst"]), "start_s": np.array([0.0]),
        "fps": np.array([12.5]), "excerpt_end": np.array([3]), "unit_mm": np.array(0.1),
        "truth": np.zeros((3, 17, 3), np.int16), "prediction": np.zeros((3, 17, 3), np.int16),
    }  # fmt: skip

    def written(changed: dict[str, Any]) -> Path:
        return put("traces.npz", zipped({f"{key}.npy": npy(np.asarray(array)) for key, array in changed.items()}))

    assert len(trace_file.load(written(arrays)).excerpts) == 1
    refused(trace_file.load, written({**arrays, name: value}), match=message)


def _ask() -> None:
    np.zeros(1 << 38)


def _ask_and_blame() -> None:
    try:
        _ask()
    except MemoryError as error:
        raise BadInput("the file's fault") from error


@pytest.mark.parametrize("ask", [_ask, _ask_and_blame])
def test_the_bounds_see_what_is_asked_for(ask: Callable[[], None]) -> None:
    with pytest.raises(AskedForTooMuch), within_bounds():
        ask()


@pytest.mark.parametrize("length", ["True", "2**70", str(2**63)])
def test_an_array_whose_length_is_none(length: str) -> None:
    header = f"{{'descr': '|V0', 'fortran_order': False, 'shape': ({length},), }}\n".encode()
    with pytest.raises(ValueError, match="header"):
        npy_array.parse(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)


def test_names_of_megabytes_are_not_quoted_whole(tmp_path: Path) -> None:
    name = "[" * 5000
    for record in ({"id": name, "schema": 99}, {"id": "a", "schema": 1, name: 1}):
        needed = {"status": "ok", "config": {"model": "a", "frames": 1, "in_channels": 2}}
        with pytest.raises(BadInput) as ended:
            RUNS.validate({**needed, **record})
        assert len(str(ended.value)) < 1000
    (tmp_path / "checkpoint.json").write_text(json.dumps({"file": name, "sha256": ""}))
    with pytest.raises(BadInput, match="damaged"):
        checkpoint.load(tmp_path)
    with pytest.raises(BadInput, match="depth wants an int") as ended:
        models.configure("posemamba-xs", 27, 3, {"depth": "9" * 4000})
    assert len(str(ended.value)) < 1000
