"""ModelNet40 and ScanObjectNN in small files of their own layout, and everything that can be wrong in them."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from harness.classification import farthest_points, modelnet40, scanobjectnn, source
from harness.classification.cloud_set import Clouds, in_unit_ball
from harness.errors import BadInput

POINTS = 24


def hdf5(path: Path, clouds: int, labels: Any = None, points: int = 32, seed: int = 0, **changes: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng([seed, clouds])
    data = generator.normal(size=(clouds, points, 3)).astype(np.float32)
    labels = generator.integers(0, 15, clouds) if labels is None else labels
    arrays = {"data": data, "label": np.asarray(labels, dtype=np.uint8).reshape(-1, 1), **changes}
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            if array is not None:
                file[name] = array


def names_file(path: Path, count: int = 40) -> None:
    path.write_text("".join(f"class{number}\n" for number in range(count)))


@pytest.fixture
def modelnet(tmp_path: Path) -> Path:
    folder = tmp_path / "modelnet40_ply_hdf5_2048"
    for number, name in enumerate((*modelnet40.TRAIN_FILES, *modelnet40.TEST_FILES)):
        hdf5(folder / name, clouds=3, seed=number)
    names_file(folder / "shape_names.txt")
    return folder


@pytest.fixture
def scanned(tmp_path: Path) -> Path:
    for number, (folder, *names) in enumerate(scanobjectnn.VERSIONS.values()):
        for name in names:
            hdf5(tmp_path / folder / name, clouds=4 + number, labels=range(4 + number))
    return tmp_path


def processed(folder: Path, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    names_file(folder / "modelnet40_shape_names.txt")
    for part, clouds in (("train", 6), ("test", 4)):
        generator = np.random.default_rng(clouds)
        points = [generator.normal(size=(40, 6)).astype(np.float32) for _ in range(clouds)]
        labels = [np.array([index], dtype=np.int32) for index in range(clouds)]
        with (folder / f"modelnet40_{part}_8192pts_fps.dat").open("wb") as file:
            pickle.dump(changes.get(part, [points, labels]), file)
    return folder


@pytest.mark.parametrize("above", [True, False])
def test_modelnet40_as_hdf5(modelnet: Path, above: bool, tmp_path: Path) -> None:
    folder = modelnet.parent if above else modelnet
    found = source.load(f"modelnet40:{folder}", POINTS, 0, tmp_path / "cache")
    assert (found.train.points.shape, found.test.points.shape) == ((15, 28, 3), (6, 24, 3))
    assert (len(found.classes), found.normalised, found.sampled) == (40, "ball", "farthest")
    with h5py.File(modelnet / "ply_data_test1.h5") as file:
        cloud, label = file["data"][2], file["label"][2]
    centred = cloud - cloud.mean(axis=0)
    expected = centred / np.linalg.norm(centred, axis=1).max()
    assert found.test.labels[5] == label[0]
    np.testing.assert_allclose(found.test.points[5, 0], expected[0], rtol=1e-5)
    assert {tuple(np.round(point, 4)) for point in found.test.points[5]} <= {
        tuple(np.round(point, 4)) for point in expected
    }
    # The cache gives the same again.
    assert list((tmp_path / "cache").iterdir())
    again = source.load(f"modelnet40:{folder}", POINTS, 0, tmp_path / "cache")
    assert again.train.digest() == found.train.digest()


def test_modelnet40_as_processed_files_keeps_their_order(tmp_path: Path) -> None:
    found = source.load(f"modelnet40:{processed(tmp_path)}", POINTS, 0, None)
    assert (found.train.points.shape, found.test.points.shape) == ((6, 28, 3), (4, 24, 3))
    with (tmp_path / "modelnet40_test_8192pts_fps.dat").open("rb") as file:
        points, _ = pickle.load(file)
    centred = points[3][:, :3] - points[3][:, :3].mean(axis=0)
    np.testing.assert_allclose(
        found.test.points[3], (centred / np.linalg.norm(centred, axis=1).max())[:24], rtol=1e-4, atol=1e-6
    )
    assert found.test.labels.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("version", "clouds"), [*zip(scanobjectnn.VERSIONS, (4, 5, 6), strict=True)])
def test_the_versions_of_scanobjectnn(scanned: Path, version: str, clouds: int) -> None:
    found = source.load(f"{version}:{scanned}", 32, 0, None)
    assert len(found.test) == clouds
    assert (found.name, found.normalised, found.sampled, found.augmentation) == (
        version,
        "stored",
        "stored",
        "rotate-y",
    )
    folder, _, test = scanobjectnn.VERSIONS[version]
    with h5py.File(scanned / folder / test) as file:
        np.testing.assert_array_equal(found.test.points, file["data"][()])
    fewer = source.load(f"{version}:{scanned / folder}", 20, 0, None)
    assert (fewer.train.points.shape[1], fewer.test.points.shape[1], fewer.sampled) == (23, 20, "farthest")


def test_the_farthest_points_of_scanobjectnn_are_kept(scanned: Path, tmp_path: Path, monkeypatch: Any) -> None:
    found = source.load(f"scanobjectnn:{scanned}", 20, 0, tmp_path / "cache")
    monkeypatch.setattr(farthest_points, "_farthest", None)
    again = source.load(f"scanobjectnn:{scanned}", 20, 0, tmp_path / "cache")
    assert (again.train.digest(), again.test.digest()) == (found.train.digest(), found.test.digest())


def test_perturbed_copies_are_a_doubt(scanned: Path) -> None:
    doubts = {version: source.load(f"{version}:{scanned}", 32, 0, None).doubts for version in scanobjectnn.VERSIONS}
    assert "perturbed copies" in doubts.pop("scanobjectnn")[0]
    assert set(doubts.values()) == {()}


def test_clouds_of_any_size_come_into_the_unit_ball() -> None:
    cloud = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    expected = in_unit_ball(cloud, "it")
    for factor in (1e-30, 1e30):  # their squares are no float32
        np.testing.assert_allclose(in_unit_ball(cloud * np.float32(factor), "it"), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(BadInput, match=r"it cannot be brought into the unit ball: its farthest point is 0\.0 from"):
        in_unit_ball(np.ones((4, 3), np.float32), "it")


@pytest.mark.parametrize("shape", [(), (1,)])
def test_labels_of_processed_files_are_numbers_or_arrays_of_one(shape: tuple[int, ...], tmp_path: Path) -> None:
    points = [np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32) for _ in range(3)]
    for labels in ([np.full(shape, index) for index in (7, 0, 39)], np.array([7, 0, 39]), [7, 0, 39]):
        found = source.load(f"modelnet40:{processed(tmp_path, test=[points, labels])}", POINTS, 0, None)
        assert found.test.labels.tolist() == [7, 0, 39]


def test_farthest_points_are_farthest() -> None:
    points = np.random.default_rng(0).normal(size=(20, 30, 3)).astype(np.float32)
    found = farthest_points.thinned(Clouds(points, np.zeros(20, dtype=np.int64)), 7).points
    for cloud, chosen in zip(points, found, strict=True):
        np.testing.assert_array_equal(chosen[0], cloud[0])
        for count in range(1, 7):
            distance = np.linalg.norm(cloud[:, None] - chosen[None, :count], axis=-1).min(axis=1)
            np.testing.assert_array_equal(chosen[count], cloud[distance.argmax()])


def refused(spec: str, points: int = POINTS) -> str:
    with pytest.raises(BadInput) as error:
        source.load(spec, points, 0, None)
    return str(error.value)


def test_every_missing_file_is_named(modelnet: Path, scanned: Path) -> None:
    for name in ("ply_data_train3.h5", "shape_names.txt"):
        (modelnet / name).unlink()
    message = refused(f"modelnet40:{modelnet}")
    assert str(modelnet / "ply_data_train3.h5") in message
    assert str(modelnet / "shape_names.txt") in message
    assert "ply_data_train2" not in message
    assert "modelnet40_ply_hdf5_2048.zip" in message
    (scanned / "main_split" / "test_objectdataset.h5").unlink()
    assert "test_objectdataset.h5. ScanObjectNN's h5_files.zip" in refused(f"scanobjectnn-objbg:{scanned}")


def nonfinite() -> Any:
    data = np.zeros((4, 32, 3), dtype=np.float32) + np.arange(32)[:, None]
    data[2, 7, 1] = np.inf
    return data


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": nonfinite()}, "data[2, 7, 1] is inf"),
        ({"data": np.zeros((4, 32, 2), dtype=np.float32)}, "data has shape (4, 32, 2) of float32"),
        ({"data": np.zeros((4, 32, 3), dtype=np.int64)}, "of int64; expected floats"),
        ({"data": np.ones((4, 32, 3), dtype=np.float32)}, "data[0] has all its points in one place"),
        ({"data": None}, "has no dataset 'data', only label"),
        ({"label": np.array([0, 1, 15, 3])}, "label[2] is 15; with 15 classes it is 0 to 14"),
        ({"label": np.array([0, -1, 1, 3])}, "label[1] is -1"),
        ({"label": np.array([0, 1, 2])}, "label has shape (3,)"),
        ({"label": np.array([0.0, 1.0, 2.0, 3.0])}, "of float64; expected a whole number"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(changes: dict[str, Any], message: str, scanned: Path) -> None:
    path = scanned / "main_split" / "test_objectdataset_augmentedrot_scale75.h5"
    hdf5(path, clouds=4, **changes)
    found = refused(f"scanobjectnn:{scanned}", 32)
    assert found.startswith(str(path))
    assert message in found


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b"<html>404</html>", "a web page"), (b"\x89HDF\r\n\x1a\n" + bytes(40), "damaged or cut short")],
)
def test_what_is_no_hdf5_file(content: bytes, message: str, scanned: Path) -> None:
    path = scanned / "main_split" / "test_objectdataset_augmentedrot_scale75.h5"
    path.write_bytes(content)
    found = refused(f"scanobjectnn:{scanned}", 32)
    assert found.startswith(str(path))
    assert message in found


def test_a_file_cut_short(scanned: Path) -> None:
    path = scanned / "main_split" / "test_objectdataset_augmentedrot_scale75.h5"
    path.write_bytes(path.read_bytes()[:1500])
    assert "damaged or cut short" in refused(f"scanobjectnn:{scanned}", 32)


def test_fewer_points_than_asked_for(scanned: Path, modelnet: Path) -> None:
    assert "have 32 points, fewer than --points 33" in refused(f"scanobjectnn:{scanned}", 33)
    assert "have 32 points, fewer than --points 33" in refused(f"modelnet40:{modelnet}", 33)


def test_files_of_unequal_clouds(modelnet: Path) -> None:
    hdf5(modelnet / "ply_data_train1.h5", clouds=3, points=31)
    assert "ply_data_train1.h5: clouds of 31 points" in refused(f"modelnet40:{modelnet}")


def test_too_few_class_names(modelnet: Path) -> None:
    names_file(modelnet / "shape_names.txt", 39)
    assert "39 different class names" in refused(f"modelnet40:{modelnet}")


class Running:
    def __reduce__(self) -> Any:
        return (print, ("ran",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Running(), "refused"),
        ({"points": 1}, "expected a list of point arrays"),
        ([[np.zeros((40, 3), np.float32)], []], "as many labels"),
        (
            [[np.zeros((40, 3), np.float32), np.zeros((39, 3), np.float32)], [np.array([0])] * 2],
            "points[1] is of shape",
        ),
        ([[], []], "is empty"),
        ([1, 2], "expected a list of point arrays"),
        ([None, None], "expected a list of point arrays"),
        ([np.array(1.0), np.array(1)], "expected a list of point arrays"),
        ([[np.array(1.0)], [np.array([1])]], "points[0] is of shape (); expected (points, 3 or more)"),
        ([[None], [np.array([1])]], "points[0] is of shape NoneType"),
        ([[np.ones((40, 3), np.float32)], [None]], "label has shape (1,) of object"),
        ([[np.ones((40, 3), np.float32)] * 2, [np.array([1]), np.array([1, 2])]], "its labels are not alike"),
    ],
)
def test_processed_files_with_something_else_in_them(
    content: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = refused(f"modelnet40:{processed(tmp_path / 'm', test=content)}")
    assert "modelnet40_test_8192pts_fps.dat" in found
    assert message in found
    assert "ran" not in capsys.readouterr().out


def test_without_h5py_it_is_said_what_to_install(scanned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert "pip install 'h5py" in refused(f"scanobjectnn:{scanned}", 32)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("shape", "unknown data 'shape'. Did you mean: shapes"),
        ("modelnet40", "write it as modelnet40:PATH"),
        ("shapes:there", "write it as shapes"),
        ("modelnet40:/nowhere", "not found: /nowhere/ply_data_train0.h5"),
    ],
)
def test_names_of_data(spec: str, message: str) -> None:
    assert message in refused(spec)
