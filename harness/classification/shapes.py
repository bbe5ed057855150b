"""Point clouds of made solids: a classification task without files, generated from a seed.

Ten classes. Each has random proportions, is stretched along its axes, sampled uniformly by area, turned about the
vertical axis, jittered, and brought into the unit ball. No member of one class is one of another, nor can scaling the
axes by any factors, as training does, make it one: what tells them apart is which parts of the surface are flat, which
are bent in one direction (cylinder, cone) or two (ellipsoid), how many flat faces meet, and whether there is a hole.
An ellipsoid class without a sphere class, a box without a cube class follow from that.

Clouds stand upright, as those of ModelNet40 and ScanObjectNN do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
from numpy.random import Generator

from harness.classification import surface
from harness.classification.cloud_set import Clouds, CloudSet, in_unit_ball, kept_points
from harness.classification.surface import Float64Array, Surface

NAME = "shapes"
DEFAULT_POINTS = 1024
TRAIN_CLOUDS_PER_CLASS, TEST_CLOUDS_PER_CLASS = 160, 80
#: Standard deviation of what is added to every coordinate, where the farthest point is at distance 1.
JITTER = 0.02
#: Each axis is stretched by a factor between 1 / LARGEST_STRETCH and it, uniform in the logarithm.
LARGEST_STRETCH = 1.6
_TRAIN, _TEST = 0, 1


def ellipsoid(generator: Generator) -> Surface:
    """A sphere, to be stretched."""
    return [surface.zone(-1, 1)]


def capsule(generator: Generator) -> Surface:
    """A cylinder between two half spheres, at least half as long as it is wide: far from any ellipsoid."""
    length = generator.uniform(1.0, 3.0)
    return [surface.mantle(length, 1.0), surface.zone(-1, 0), surface.zone(0, 1, lift=length)]


def cylinder(generator: Generator) -> Surface:
    """With its two lids."""
    height = generator.uniform(0.8, 3.0)
    return [surface.mantle(height, 1.0), surface.disc(0.0), surface.disc(height)]


def cone(generator: Generator) -> Surface:
    """With its base."""
    return [surface.mantle(generator.uniform(1.0, 3.0), 0.0), surface.disc(0.0)]


def box(generator: Generator) -> Surface:
    """Six rectangles."""
    return _upright([(1, 1), (-1, 1), (-1, -1), (1, -1)], generator.uniform(1.0, 3.0))


def prism(generator: Generator) -> Surface:
    """Two triangles and three rectangles."""
    return _upright(_regular(3), generator.uniform(1.0, 3.0))


def pyramid(generator: Generator) -> Surface:
    """Four triangles over a rectangle."""
    return _pointed([(1, 1), (-1, 1), (-1, -1), (1, -1)], generator.uniform(1.0, 3.0))


def tetrahedron(generator: Generator) -> Surface:
    """Four triangles."""
    return _pointed(_regular(3), generator.uniform(1.0, 2.5))


def torus(generator: Generator) -> Surface:
    """A closed ring."""
    return [surface.tube(generator.uniform(0.15, 0.5), turns=1.0, rise=0.0)]


def helix(generator: Generator) -> Surface:
    """One and a half to three turns of a tube, open at both ends; between turns there is a gap."""
    radius = generator.uniform(0.12, 0.25)
    rise = generator.uniform(1.3, 2.5) * 2 * radius / (2 * np.pi)
    return [surface.tube(radius, generator.uniform(1.5, 3.0), rise)]


def _regular(corners: int) -> list[tuple[float, float]]:
    angles = 2 * np.pi * np.arange(corners) / corners
    return [(float(np.cos(angle)), float(np.sin(angle))) for angle in angles]


def _upright(base: list[tuple[float, float]], height: float) -> Surface:
    low, high = ([(x, y, z) for x, y in base] for z in (0.0, height))
    sides = zip(pairwise([*low, low[0]]), pairwise([*high, high[0]]), strict=True)
    walls = [piece for (a, b), (c, d) in sides for piece in surface.polygon(a, b, d, c)]
    return [*surface.polygon(*low), *surface.polygon(*high), *walls]


def _pointed(base: list[tuple[float, float]], height: float) -> Surface:
    low = [(x, y, 0.0) for x, y in base]
    walls = [surface.triangle(a, b, (0.0, 0.0, height)) for a, b in pairwise([*low, low[0]])]
    return [*surface.polygon(*low), *walls]


#: Class -> a solid of it with random proportions. The order is that of the labels.
SOLIDS: Mapping[str, Callable[[Generator], Surface]] = {
    solid.__name__: solid
    for solid in (ellipsoid, capsule, cylinder, cone, box, prism, pyramid, tetrahedron, torus, helix)
}


def cloud(name: str, generator: Generator, points: int) -> Float64Array:
    """One cloud (points, 3) of class ``name`` in the unit ball."""
    stretch = LARGEST_STRETCH ** generator.uniform(-1, 1, 3)
    sampled = surface.sample(SOLIDS[name](generator), generator, points, stretch)
    angle = generator.uniform(0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    turned = in_unit_ball(sampled @ [[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]], name)
    return in_unit_ball(turned + generator.normal(scale=JITTER, size=turned.shape), name)


def load(points: int, seed: int, per_class: tuple[int, int] | None = None) -> CloudSet:
    """The set of ``seed`` (at least 0), with ``points`` points for a test cloud and some to spare for a training one.

    ``per_class`` are numbers of training and test clouds. No cloud of one part comes from a seed of the other.
    """
    train, test = per_class or (TRAIN_CLOUDS_PER_CLASS, TEST_CLOUDS_PER_CLASS)
    return CloudSet(
        name=NAME,
        classes=tuple(SOLIDS),
        train=_clouds(train, kept_points(points), (seed, _TRAIN)),
        test=_clouds(test, points, (seed, _TEST)),
        normalised="ball",
        sampled="area",
        augmentation="scale+shift",
    )


def _clouds(per_class: int, points: int, seed: tuple[int, int]) -> Clouds:
    labels = np.arange(per_class * len(SOLIDS)) % len(SOLIDS)
    names = tuple(SOLIDS)
    made = [cloud(names[label], np.random.default_rng([*seed, index]), points) for index, label in enumerate(labels)]
    return Clouds(np.asarray(made, dtype=np.float32), labels.astype(np.int64))
