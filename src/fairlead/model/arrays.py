"""Types of arrays by what they hold. Whoever reads no columns does without NumPy: it takes a quarter of a second and 11 MB to load."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

I32: TypeAlias = NDArray[np.int32]
I64: TypeAlias = NDArray[np.int64]
F64: TypeAlias = NDArray[np.float64]
Bit: TypeAlias = NDArray[np.bool_]
