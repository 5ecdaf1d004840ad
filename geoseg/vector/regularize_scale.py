"""What counts as small for a building: it depends on the pixel, on the ground and on the building itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.regularize_options import Regularization
from geoseg.vector.regularize_rings import Rings, without_slits

Floats = NDArray[np.float64]

_HOLE = 4.0  # numbers that a hole with right angles takes


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """Limits for each of n polygons; all (n,) float64, in pixels.

    Attributes:
        fine: how uneven a wall may be.
        coarse: the same in proportion to the polygon, and no less.
        wall: walls that are shorter go.
        price: the area, in square pixels, that each number must save.
        displacement: the greatest mean distance between old and new border.
        deviation: the greatest distance.
    """

    fine: Floats
    coarse: Floats
    wall: Floats
    price: Floats
    displacement: Floats
    deviation: Floats


def scale_of(rings: Rings, metres: Floats, options: Regularization) -> Scale:
    """Find the limits of polygons from their areas; `metres` (n,) is the size of a pixel at each."""
    area = np.maximum(rings.net_areas, 0.0)
    size = np.sqrt(area)
    share = options.tolerance * size / options.full_size
    most = np.maximum(options.tolerance, options.max_tolerance_m / metres)
    dearest = np.maximum(options.max_price, options.max_price_m2 / metres**2)
    return Scale(
        fine=np.minimum(share, options.tolerance),
        coarse=np.minimum(share, most),
        wall=np.maximum(options.min_wall, options.min_wall_m / metres),
        price=np.minimum(options.price * area, dearest),
        displacement=np.maximum(options.max_displacement, options.max_displacement_share * size),
        deviation=np.maximum(options.max_deviation, options.max_deviation_share * size),
    )


def filled(rings: Rings, scale: Scale) -> Rings:
    """Fill the holes that are narrower than the shortest wall, or not worth their walls."""
    return without_slits(rings, scale.wall[rings.owner], _HOLE * scale.price[rings.owner])
