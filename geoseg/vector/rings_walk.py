"""Follow elements from one to the next: along open walks, then around closed ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import depth_first_order

from geoseg.vector.rings import Integers, offsets_of


def walked(after: Integers, starts: Integers) -> tuple[Integers, Integers]:
    """All elements in walking order, each closed walk begun at its smallest.

    Args:
        after: (n,) the element that follows each, n or more where a walk ends; none follows two.
        starts: (s,) the first element of each open walk, n or more for one without elements.

    Returns:
        (n,) elements and the offsets of the walks: s open ones, then the closed ones by smallest element.
    """
    count, opened = len(after), len(starts)
    found = _search(after, np.concatenate([starts, np.arange(count)]))
    lengths = np.diff(np.flatnonzero(found >= count)) - 1
    closed = lengths[opened:]
    lengths = np.concatenate([lengths[:opened], closed[closed > 0]])
    return found[found < count].astype(np.int64), offsets_of(lengths)


def _search(after: Integers, begins: Integers) -> NDArray[np.int32]:
    """The walks from all `begins` that are not on an earlier walk, each behind the signpost that led to it.

    The loop runs in C: scipy searches depth first. Signpost k has the number len(after) + k and leads to
    begins[k], then to the next signpost; the last leads nowhere. Walks end at the first, which is known.
    """
    count, posts = len(after), len(begins)
    target = np.empty(count + 2 * posts, np.int32)
    target[:count], target[count::2] = np.minimum(after, count), np.minimum(begins, count)
    target[count + 1 :: 2] = np.arange(count + 1, count + posts + 1)
    bounds = np.concatenate([np.arange(count), np.arange(count, len(target) + 1, 2), [len(target)]])
    size = count + posts + 1
    graph = csr_array((np.ones(len(target)), target, bounds.astype(np.int32)), (size, size))
    found: NDArray[np.int32] = depth_first_order(graph, count, return_predecessors=False)
    return found
