"""Joints regressed from SMPL's surface, against the model computed slowly, vertex by vertex."""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data import smpl
from harness.data.smpl import RegressedJoints, find_models, find_regressor, read_model, read_regressor, rotations
from harness.errors import BadInput
from tests.harness.data.figures import save
from tests.harness.data.pw3d_files import h36m_regressor, posed_slowly, smpl_arrays

Array = NDArray[Any]
FRAMES = 7


def model_of(arrays: dict[str, Array], tmp_path: Path) -> smpl.Model:
    return read_model(save(tmp_path / "SMPL_MALE.npz", arrays))


@pytest.fixture
def motion() -> tuple[Array, Array, Array]:
    """poses, betas and translations."""
    rng = np.random.default_rng(1)
    return rng.normal(0, 0.7, (FRAMES, 72)), rng.normal(0, 1, 10), rng.normal(0, 1, (FRAMES, 3))


def test_the_same_as_vertex_by_vertex(
    tmp_path: Path, motion: tuple[Array, Array, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smpl, "_CHUNK_FRAMES", 3)
    arrays = smpl_arrays(12)
    regressor = np.random.default_rng(2).normal(0, 1, (17, 12))
    joints, vertices = posed_slowly(arrays, *motion)
    skeleton, regressed = RegressedJoints(model_of(arrays, tmp_path), regressor).joints_m(*motion)
    np.testing.assert_allclose(skeleton, joints, atol=1e-12)
    np.testing.assert_allclose(regressed, np.einsum("jv,tvc->tjc", regressor, vertices), atol=1e-12)


def test_at_rest_it_is_the_template(tmp_path: Path) -> None:
    arrays = smpl_arrays(30)
    joints = RegressedJoints(model_of(arrays, tmp_path), h36m_regressor(30))
    skeleton, regressed = joints.joints_m(np.zeros((2, 72)), np.zeros(10), np.zeros((2, 3)))
    np.testing.assert_allclose(skeleton, np.tile(arrays["v_template"][:24], (2, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(regressed, np.tile(h36m_regressor(30) @ arrays["v_template"], (2, 1, 1)), atol=1e-12)


def test_a_translation_moves_everything_and_turns_nothing(tmp_path: Path, motion: tuple[Array, Array, Array]) -> None:
    joints = RegressedJoints(model_of(smpl_arrays(30), tmp_path), h36m_regressor(30))
    poses, betas, translations_m = motion
    for still, moved in zip(
        joints.joints_m(poses, betas, np.zeros((FRAMES, 3))), joints.joints_m(poses, betas, translations_m), strict=True
    ):
        np.testing.assert_allclose(moved - still, np.broadcast_to(translations_m[:, None], moved.shape), atol=1e-12)


def test_the_pelvis_turns_the_whole_body_about_itself(tmp_path: Path, motion: tuple[Array, Array, Array]) -> None:
    joints = RegressedJoints(model_of(smpl_arrays(30), tmp_path), h36m_regressor(30))
    poses, betas, translations_m = motion
    unturned = poses.copy()
    unturned[:, :3] = 0
    turns = rotations(poses[:, :3])
    pelvis = joints.joints_m(unturned, betas, translations_m)[0][:, :1]
    for plain, turned in zip(
        joints.joints_m(unturned, betas, translations_m), joints.joints_m(poses, betas, translations_m), strict=True
    ):
        expected = np.einsum("tab,tjb->tja", turns, plain - pelvis) + pelvis
        np.testing.assert_allclose(turned, expected, atol=1e-12)


def test_the_first_ten_betas_count(tmp_path: Path, motion: tuple[Array, Array, Array]) -> None:
    joints = RegressedJoints(model_of(smpl_arrays(30), tmp_path), h36m_regressor(30))
    poses, betas, translations_m = motion
    few = joints.joints_m(poses, betas, translations_m)
    many = joints.joints_m(poses, np.concatenate([betas, np.ones(290)]), translations_m)
    none = joints.joints_m(poses, 0 * betas, translations_m)
    assert all((one == other).all() for one, other in zip(few, many, strict=True))
    assert all(np.abs(one - other).max() > 1e-3 for one, other in zip(few, none, strict=True))


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        ((0, 0, 0), np.eye(3)),
        ((0, 0, np.pi / 2), [[0, -1, 0], [1, 0, 0], [0, 0, 1]]),
        ((np.pi, 0, 0), np.diag([1, -1, -1])),
        ((0, 1e-9, 0), [[1, 0, 1e-9], [0, 1, 0], [-1e-9, 0, 1]]),
    ],
)
def test_rotations(vector: tuple[float, float, float], expected: Any) -> None:
    np.testing.assert_allclose(rotations(np.array([[vector]]))[0, 0], expected, atol=1e-15)


# The regressor's rows


def test_rows_in_human36ms_order_stay(tmp_path: Path) -> None:
    path = tmp_path / "J_regressor_h36m.npy"
    np.save(path, h36m_regressor(30).astype(np.float32))
    regressor, note = read_regressor(path, model_of(smpl_arrays(30), tmp_path))
    assert (regressor == h36m_regressor(30)).all()
    assert note == ""


def test_a_left_leg_that_comes_first_is_put_second(tmp_path: Path) -> None:
    path = tmp_path / "J_regressor_h36m.npy"
    np.save(path, h36m_regressor(30)[[0, 4, 5, 6, 1, 2, 3, *range(7, 17)]])
    regressor, note = read_regressor(path, model_of(smpl_arrays(30), tmp_path))
    assert (regressor == h36m_regressor(30)).all()
    assert note == "J_regressor_h36m.npy has the left leg in rows 1 to 3: exchanged with the right one's"


def test_rows_of_another_order_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "J_regressor_h36m.npy"
    np.save(path, h36m_regressor(30)[[*range(11), 14, 15, 16, 11, 12, 13]])
    with pytest.raises(BadInput, match=r"J_regressor_h36m.npy: the rows of the shoulder, elbow, wrist .*SMPL_MALE.npz"):
        read_regressor(path, model_of(smpl_arrays(30), tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html>", "is no whole .npy array but a web page"),
        (b"", "is no whole .npy array but empty"),
        (b"\x93NUMPY\x01\x00", "is no whole .npy array but damaged or cut short"),
    ],
)
def test_a_regressor_that_is_none(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "J_regressor_h36m.npy"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=f"J_regressor_h36m.npy: {message}"):
        read_regressor(path, model_of(smpl_arrays(30), tmp_path))


def test_a_regressor_for_another_model(tmp_path: Path) -> None:
    np.save(tmp_path / "J_regressor_h36m.npy", np.zeros((17, 31)))
    with pytest.raises(BadInput, match=r"has shape \(17, 31\); expected \(17, 30\)"):
        read_regressor(tmp_path / "J_regressor_h36m.npy", model_of(smpl_arrays(30), tmp_path))


# The model's files


def test_models_go_by_many_names(tmp_path: Path) -> None:
    for name in (
        "SMPL_Neutral.npz", "basicModel_f_lbs_10_207_0_v1.0.0.pkl", "basicmodel_m_lbs_10_207_0_v1.1.0.pkl",
        "smpl_male.pkl", "SMPLX_MALE.npz", "J_regressor_h36m_correct.npy",
    ):  # fmt: skip
        (tmp_path / name).touch()
    assert {gender: path.name for gender, path in find_models(tmp_path).items()} == {
        "male": "smpl_male.pkl",
        "female": "basicModel_f_lbs_10_207_0_v1.0.0.pkl",
        "neutral": "SMPL_Neutral.npz",
    }
    assert find_regressor(tmp_path) == tmp_path / "J_regressor_h36m_correct.npy"
    assert find_models(tmp_path / "absent") == {}
    assert find_regressor(tmp_path / "absent") is None


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("v_template", None, r"SMPL_MALE.npz: has no 'v_template'"),
        ("shapedirs", np.zeros((30, 3, 4)), r"'shapedirs': has 4 shape components; expected at least 10"),
        ("posedirs", np.zeros((30, 3, 189)), r"'posedirs': has shape \(30, 3, 189\); expected \(30, 3, 207\)"),
        ("weights", np.zeros((31, 24)), r"'weights': has shape \(31, 24\); expected \(30, 24\)"),
        ("J_regressor", np.full((24, 30), np.nan), r"'J_regressor': holds NaN"),
        ("kintree_table", np.full((2, 24), 5), r"'kintree_table': joint 1 has parent 5; expected one before it"),
    ],
)
def test_a_model_that_is_none(tmp_path: Path, key: str, value: Any, message: str) -> None:
    arrays = {**smpl_arrays(30), key: value}
    with pytest.raises(BadInput, match=message):
        model_of({name: array for name, array in arrays.items() if array is not None}, tmp_path)


@pytest.fixture
def chumpy(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """Classes by the names of that package's, to write pickles with; ``gone()`` before they are read."""

    def array(self: Any, x: Any) -> None:
        self.__dict__.update(x=x, _dirty_vars={"x"}, _itr=None)

    def selection(self: Any, a: Any, count: int) -> None:
        whole = a.x.shape
        idxs = np.arange(int(np.prod(whole))).reshape(whole)[..., :count].ravel()
        self.__dict__.update(a=a, idxs=idxs, preferred_shape=(*whole[:-1], count))

    made = types.SimpleNamespace()
    modules = {"chumpy": types.ModuleType("chumpy")}
    for module, name, initialise in (("ch", "Ch", array), ("reordering", "Select", selection)):
        cls = type(name, (), {"__init__": initialise, "__module__": f"chumpy.{module}"})
        modules[f"chumpy.{module}"] = types.ModuleType(f"chumpy.{module}")
        setattr(modules[f"chumpy.{module}"], name, cls)
        setattr(made, name, cls)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    made.gone = lambda: [monkeypatch.delitem(sys.modules, name) for name in modules]
    return made


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
@pytest.mark.parametrize("form", ["csc_matrix", "csr_matrix"])
def test_pickles_of_the_owners_are_read_without_their_packages(
    tmp_path: Path, chumpy: types.SimpleNamespace, protocol: int, form: str
) -> None:
    sparse = pytest.importorskip("scipy.sparse", reason="writes the sparse matrices of the model's pickles")
    arrays = smpl_arrays(30)
    path = tmp_path / "basicModel_m_lbs_10_207_0_v1.0.0.pkl"
    content = {
        **arrays,
        "J_regressor": getattr(sparse, form)(arrays["J_regressor"]),
        "v_template": chumpy.Ch(arrays["v_template"]),
        "shapedirs": chumpy.Select(chumpy.Ch(arrays["shapedirs"]), 10),
        "bs_style": "lbs",
    }
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    chumpy.gone()
    model = read_model(path)
    assert (model.template == arrays["v_template"]).all()
    assert (model.shapes == arrays["shapedirs"][..., :10]).all()
    assert (model.joint_regressor == arrays["J_regressor"]).all()
    assert model.parents[:4] == (-1, 0, 0, 0)
    assert not any(name.startswith("chumpy") for name in sys.modules)


def test_an_expression_that_is_not_worked_out(tmp_path: Path, chumpy: types.SimpleNamespace) -> None:
    path = tmp_path / "SMPL_MALE.pkl"
    path.write_bytes(
        pickle.dumps({**smpl_arrays(30), "v_template": chumpy.Ch(chumpy.Select(chumpy.Ch(np.zeros((30, 3))), 2))}, 2)
    )
    with pytest.raises(BadInput, match=r"'v_template': has shape \(30, 2\); expected \(frames, 3\)"):
        read_model(path)
    broken = chumpy.Ch(np.zeros(3))
    del broken.__dict__["x"]
    path.write_bytes(pickle.dumps({**smpl_arrays(30), "weights": broken}, 2))
    with pytest.raises(BadInput, match=r"'weights': cannot be made an array \(KeyError: 'x'\); save the model as .npz"):
        read_model(path)


class Bomb:
    """Its unpickling would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


def test_other_classes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "SMPL_MALE.pkl"
    path.write_bytes(pickle.dumps({**smpl_arrays(30), "weights": Bomb(tmp_path / "trace")}, 2))
    with pytest.raises(BadInput, match=r"SMPL_MALE.pkl: refused, since it names (_?io).open"):
        read_model(path)
    assert not (tmp_path / "trace").exists()


def test_what_copy_reg_may_make_is_inert(tmp_path: Path) -> None:
    path = tmp_path / "SMPL_MALE.pkl"
    path.write_bytes(
        b"\x80\x02}U\nv_templateccopy_reg\n_reconstructor\nc__builtin__\nset\nc__builtin__\nobject\nN\x87Rs."
    )
    with pytest.raises(BadInput, match=r"SMPL_MALE.pkl: .*an object of function is not to be made"):
        read_model(path)
