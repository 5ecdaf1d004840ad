"""Walking order, against a loop that follows one element after another."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geoseg.vector.rings_walk import walked


def slow_walks(after, starts):
    """Open walks from their starts, then closed ones from their smallest element."""
    walks, seen = [], set()
    for element in [*starts, *range(len(after))]:
        walk = []
        while element < len(after) and element not in seen:
            seen.add(element)
            walk.append(element)
            element = after[element]
        walks.append(walk)
    return walks[: len(starts)] + [walk for walk in walks[len(starts) :] if walk]


@given(st.integers(0, 30), st.integers(0, 5), st.integers(0, 2**32))
def test_all_elements_are_walked_in_order(count, ends, seed):
    onward = np.random.default_rng(seed).permutation(count + ends)
    after, starts = onward[:count], onward[count:]  # an end leads to the start of another walk
    order, offsets = walked(after, starts)
    assert [walk.tolist() for walk in np.split(order, offsets[1:-1])] == (slow_walks(after, starts) or [[]])
