"""Surfaces in pieces that are sampled exactly: uniform by area, with the normal of every point.

A piece is put together with others into a surface; a whole surface may be stretched along the axes, and is then still
sampled uniformly, by its stretched area.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

Float64Array = NDArray[np.float64]
#: Points and unit normals, (n, 3) each.
Samples = tuple[Float64Array, Float64Array]


@dataclass(frozen=True)
class Piece:
    """``area``, and ``sample(generator, n)`` that draws n points uniformly by it."""

    area: float
    sample: Callable[[Generator, int], Samples]


Surface = Sequence[Piece]


def triangle(a: ArrayLike, b: ArrayLike, c: ArrayLike) -> Piece:
    """The flat triangle with these corners; its normal is that of a, b, c counterclockwise."""
    first, along, beside = np.asarray(a, float), np.subtract(b, a), np.subtract(c, a)
    cross = np.cross(along, beside)
    doubled = float(np.linalg.norm(cross))

    def sample(generator: Generator, n: int) -> Samples:
        u, v = generator.random((2, n, 1))
        # A point of the parallelogram beyond the diagonal is turned back into the triangle.
        beyond = u + v > 1
        u, v = np.where(beyond, 1 - u, u), np.where(beyond, 1 - v, v)
        return first + u * along + v * beside, np.tile(cross / doubled, (n, 1))

    return Piece(doubled / 2, sample)


def polygon(*corners: ArrayLike) -> list[Piece]:
    """A flat convex polygon as a fan of triangles."""
    return [triangle(corners[0], one, two) for one, two in pairwise(corners[1:])]


def disc(z: float) -> Piece:
    """The unit disc at height ``z``."""

    def sample(generator: Generator, n: int) -> Samples:
        radius = np.sqrt(generator.random(n))
        return _around(generator, radius, np.full(n, z)), np.tile([0.0, 0.0, 1.0], (n, 1))

    return Piece(np.pi, sample)


def mantle(height: float, top: float) -> Piece:
    """The side of a cone of radius 1 at the height 0 and ``top`` at ``height``: a cylinder where ``top`` is 1."""
    slant = float(np.hypot(height, 1 - top))

    def sample(generator: Generator, n: int) -> Samples:
        u, angle = generator.random(n), 2 * np.pi * generator.random(n)
        # A ring is as large as its radius, so that the radius' square is uniform.
        radius = np.sqrt(1 + u * (top**2 - 1))
        z = height * (u if top == 1 else (1 - radius) / (1 - top))
        points = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), z])
        normals = np.column_stack([height * np.cos(angle), height * np.sin(angle), np.full(n, 1 - top)]) / slant
        return points, normals

    return Piece(np.pi * (1 + top) * slant, sample)


def zone(low: float, high: float, lift: float = 0.0) -> Piece:
    """The unit sphere between two heights, the whole of it lifted by ``lift``.

    Archimedes: slices of equal height have equal areas.
    """

    def sample(generator: Generator, n: int) -> Samples:
        z = generator.uniform(low, high, n)
        normals = _around(generator, np.sqrt(1 - z**2), z)
        return normals + np.array([0.0, 0.0, lift]), normals

    return Piece(2 * np.pi * (high - low), sample)


def tube(radius: float, turns: float, rise: float) -> Piece:
    """A tube of ``radius`` along the helix (cos a, sin a, rise a): with one turn and no rise a torus.

    With phi the angle from the helix' principal normal and k = 1 / (1 + rise^2) its curvature, the area's density is
    1 - radius k cos(phi): the inner side is shorter.
    """
    bent = radius / (1 + rise**2)
    length = 2 * np.pi * turns * np.sqrt(1 + rise**2)

    def sample(generator: Generator, n: int) -> Samples:
        along = 2 * np.pi * turns * generator.random(n)
        phi = _thinned_angles(generator, n, bent)
        cos, sin, zero = np.cos(along), np.sin(along), np.zeros(n)
        inward = np.column_stack([-cos, -sin, zero])
        binormal = np.column_stack([rise * sin, -rise * cos, np.ones(n)]) / np.sqrt(1 + rise**2)
        normals = np.cos(phi)[:, None] * inward + np.sin(phi)[:, None] * binormal
        return np.column_stack([cos, sin, rise * along]) + radius * normals, normals

    return Piece(float(2 * np.pi * radius * length), sample)


def _thinned_angles(generator: Generator, n: int, bent: float) -> Float64Array:
    """``n`` angles of the density 1 - bent cos."""
    kept = np.empty(0)
    while len(kept) < n:
        angles = 2 * np.pi * generator.random(2 * n)
        accepted = angles[generator.random(2 * n) * (1 + bent) < 1 - bent * np.cos(angles)]
        kept = np.concatenate([kept, accepted])
    return kept[:n]


def _around(generator: Generator, radius: Float64Array, z: Float64Array) -> Float64Array:
    """Points at these distances from the z axis, in any direction."""
    angle = 2 * np.pi * generator.random(len(radius))
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle), z])


def sample(surface: Surface, generator: Generator, n: int, stretch: ArrayLike = (1.0, 1.0, 1.0)) -> Float64Array:
    """``n`` points (n, 3) of ``surface`` stretched by these factors along x, y and z, uniform by the stretched area.

    A patch of normal n grows by det(A) |A^-1 n|, so that points of the unstretched surface are kept in proportion to
    |A^-1 n|, which is at most 1 / min(A).
    """
    factors = np.asarray(stretch, dtype=np.float64)
    kept = np.empty((0, 3))
    while len(kept) < n:
        points, normals = _unstretched(surface, generator, 2 * n)
        growth = np.linalg.norm(normals / factors, axis=1) * factors.min()
        kept = np.concatenate([kept, points[generator.random(len(points)) < growth] * factors])
    return kept[:n]


def _unstretched(surface: Surface, generator: Generator, n: int) -> Samples:
    areas = np.array([piece.area for piece in surface])
    shares = generator.multinomial(n, areas / areas.sum())
    drawn = [piece.sample(generator, int(share)) for piece, share in zip(surface, shares, strict=True)]
    # Mixed, so that the first points are a sample of the whole surface.
    order = generator.permutation(n)
    points, normals = (np.concatenate(arrays)[order] for arrays in zip(*drawn, strict=True))
    return points, normals
