"""Constants that NumPy and compiled code draw with. NumPy.

Of SplitMix64 (Steele, Lea & Flood 2014), of uniform numbers from it, and of the draw.
"""

from __future__ import annotations

from typing import Final

import numpy as np

BLOCK = 256
"""Rows of noise drawn at once; even, because a word of 64 bits makes two numbers."""
STRIDE: Final = 0x9E3779B97F4A7C15
"""Distance of two successive words on SplitMix64's cycle."""
SHIFTS: Final = (30, 27, 31)
FACTORS: Final = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
"""Shifts and factors of the output function; the last shift has no factor."""
UNIFORM_STEP: Final = 2.0**-32
"""Distance of two neighbouring uniform numbers made of 32 bits."""
LARGEST_UNIFORM: Final = np.float32(1 - 2**-24)
"""The largest float32 below 1, so that log(1 - u) is finite."""
MIN_FLOAT32_TEMPERATURE: Final = 1e-3
"""Below this temperature, the quotient of a float32 logit and the temperature may overflow."""
