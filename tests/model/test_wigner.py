"""Wigner 3j symbols are those of e3nn, sign by sign."""

import numpy as np
import pytest
import torch
from e3nn import o3

from lamplighter.model.wigner import wigner_3j

TRIANGLES = [
    (l1, l2, l3)
    for l1 in range(5)
    for l2 in range(5)
    for l3 in range(abs(l1 - l2), min(l1 + l2, 6) + 1)
]


@pytest.mark.parametrize("degrees", TRIANGLES, ids=str)
def test_equals_e3nn(degrees):
    wanted = o3.wigner_3j(*degrees, dtype=torch.float64).numpy()
    np.testing.assert_allclose(wigner_3j(*degrees), wanted, rtol=0, atol=1e-14)
