"""The alphabet of array shapes, written once.

Shapes in docstrings use these names, always in this order:

* ``n_own``: atoms whose energy this process computes;
* ``n_atoms``: own atoms first, then ghosts (``n_atoms == n_own`` without an engine);
* ``n_pairs``: directed pairs ``i <- j`` with ``|x_j - x_i| < cutoff``;
* ``n_frames``: structures in a batch; ``n_heads``: heads of a potential;
* ``n_components``: ``(l_max + 1)^2`` spherical components, l ascending, m ascending.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]
AnyArray: TypeAlias = npt.NDArray[Any]
