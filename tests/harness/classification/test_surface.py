"""Sampling is uniform by area: moments of every piece and of stretched surfaces against their integrals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from harness.classification import shapes, surface
from harness.classification.surface import Float64Array, Piece

MANY = 100_000
#: Standard errors that a mean of samples may be off; a bias of a few percent is far beyond.
ERRORS = 5.0


def require_mean(samples: Float64Array, expected: Float64Array | float) -> None:
    error = samples.std(axis=0) / np.sqrt(len(samples))
    assert (np.abs(samples.mean(axis=0) - expected) <= ERRORS * error + 1e-9).all()


def drawn(piece: Piece) -> tuple[Float64Array, Float64Array]:
    points, normals = piece.sample(np.random.default_rng(0), MANY)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    return points, normals


def integral(
    parametrised: Callable[[Float64Array, Float64Array], Float64Array], stretch: tuple[float, float, float]
) -> tuple[float, Float64Array]:
    """Area and mean of the squared coordinates over a surface (u, v) in the unit square, by differences on a grid."""
    u, v = np.meshgrid(*(np.linspace(0, 1, 1001),) * 2, indexing="ij")
    points = parametrised(u, v) * np.array(stretch)
    across = [points[1:, :-1] - points[:-1, :-1], points[:-1, 1:] - points[:-1, :-1]]
    areas = np.linalg.norm(np.cross(*across), axis=-1)
    middles = (points[1:, 1:] + points[:-1, :-1]) / 2
    return areas.sum(), (areas[..., None] * middles**2).sum(axis=(0, 1)) / areas.sum()


def sphere(u: Float64Array, v: Float64Array) -> Float64Array:
    radius = np.sin(np.pi * u)
    return np.stack([radius * np.cos(2 * np.pi * v), radius * np.sin(2 * np.pi * v), np.cos(np.pi * u)], axis=-1)


def coil(radius: float, turns: float, rise: float) -> Callable[[Float64Array, Float64Array], Float64Array]:
    """The tube again, from its definition: a circle in the plane across the helix."""

    def points(u: Float64Array, v: Float64Array) -> Float64Array:
        a, phi = 2 * np.pi * turns * u, 2 * np.pi * v
        tangent = np.stack([-np.sin(a), np.cos(a), np.full_like(a, rise)], axis=-1) / np.sqrt(1 + rise**2)
        inward = np.stack([-np.cos(a), -np.sin(a), np.zeros_like(a)], axis=-1)
        middle = np.stack([np.cos(a), np.sin(a), rise * a], axis=-1)
        beside = np.cross(tangent, inward)
        return middle + radius * (np.cos(phi)[..., None] * inward + np.sin(phi)[..., None] * beside)

    return points


def test_a_triangle_has_its_centroid_and_second_moments() -> None:
    corners = np.array([(0, 0, 0), (2, 0, 0), (1, 3, 1)], dtype=float)
    piece = surface.triangle(*corners)
    points, normals = drawn(piece)
    centroid = corners.mean(axis=0)
    assert piece.area == pytest.approx(np.sqrt(6**2 + 2**2) / 2)
    require_mean(points, centroid)
    # Over a triangle the mean of x^2 is (sum of the corners' x^2 + 9 of the centroid's) / 12.
    require_mean(points**2, (np.square(corners).sum(axis=0) + 9 * centroid**2) / 12)
    np.testing.assert_allclose(normals @ (corners[1:] - corners[0]).T, 0, atol=1e-12)


def test_a_disc() -> None:
    points, _ = drawn(surface.disc(2.0))
    require_mean(points, np.array([0, 0, 2]))
    require_mean(points**2, np.array([1 / 4, 1 / 4, 4]))


@pytest.mark.parametrize("top", [0.0, 0.5, 1.0])
def test_a_mantle(top: float) -> None:
    height = 2.0
    piece = surface.mantle(height, top)
    points, normals = drawn(piece)
    assert piece.area == pytest.approx(np.pi * (1 + top) * np.hypot(height, 1 - top))
    radius = np.hypot(points[:, 0], points[:, 1])
    np.testing.assert_allclose(radius, 1 + (top - 1) * points[:, 2] / height, atol=1e-9)
    require_mean(points[:, 2], height * (1 + 2 * top) / (3 * (1 + top)))
    require_mean(points[:, 0] ** 2, (1 + top**2) / 4)
    # Across the line from the point to the apex, which is where the mantle is straight.
    along = np.column_stack([points[:, :2] / radius[:, None] * (top - 1), np.full(MANY, height)])
    np.testing.assert_allclose((normals * along).sum(axis=1), 0, atol=1e-9)


def test_zones_of_a_sphere() -> None:
    points, normals = drawn(surface.zone(0, 1, lift=3.0))
    require_mean(points[:, 2], 3.5)
    require_mean((points[:, 2] - 3) ** 2, 1 / 3)
    np.testing.assert_allclose(normals, points - [0, 0, 3])


@pytest.mark.parametrize(("radius", "turns", "rise"), [(0.5, 1.0, 0.0), (0.3, 2.5, 0.4)])
def test_a_tube(radius: float, turns: float, rise: float) -> None:
    piece = surface.tube(radius, turns, rise)
    points, _ = drawn(piece)
    area, squares = integral(coil(radius, turns, rise), (1, 1, 1))
    assert piece.area == pytest.approx(area, rel=1e-3)
    error = (points**2).std(axis=0) / np.sqrt(MANY)
    assert (np.abs((points**2).mean(axis=0) - squares) < ERRORS * error + 2e-3 * squares).all()


def test_a_torus_by_its_own_formula() -> None:
    points, _ = drawn(surface.tube(0.5, 1.0, 0.0))
    # With the distance from the axis 1 + r cos and the density as that: the mean of its square is 1 + 3 r^2 / 2.
    require_mean(np.square(points[:, :2]).sum(axis=1), 1 + 1.5 * 0.25)


@pytest.mark.parametrize("parametrised", [sphere, coil(0.3, 2.5, 0.4)], ids=["ellipsoid", "helix"])
def test_what_is_stretched_is_uniform_by_its_stretched_area(parametrised: Callable[..., Float64Array]) -> None:
    stretch = (0.7, 1.0, 1.8)
    pieces = [surface.zone(-1, 1)] if parametrised is sphere else [surface.tube(0.3, 2.5, 0.4)]
    points = surface.sample(pieces, np.random.default_rng(1), MANY, stretch)
    _, squares = integral(parametrised, stretch)
    error = (points**2).std(axis=0) / np.sqrt(MANY)
    assert (np.abs((points**2).mean(axis=0) - squares) < ERRORS * error + 2e-3 * squares).all()


def test_the_faces_of_a_stretched_box_have_their_shares() -> None:
    box = shapes._upright([(1, 1), (-1, 1), (-1, -1), (1, -1)], 2.0)
    points = surface.sample(box, np.random.default_rng(2), MANY, (1.0, 2.0, 0.5))
    sides = np.array([2.0, 4.0, 1.0])
    areas = np.array([sides[1] * sides[2], sides[0] * sides[2], sides[0] * sides[1]])
    on = np.isclose(np.abs(points - [0, 0, 0.5]), sides / 2)
    require_mean(on.astype(float), areas / areas.sum())
    # Any beginning of the points is a sample of the whole.
    require_mean(on[:2000].astype(float), areas / areas.sum())
