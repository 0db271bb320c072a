"""Constants of SplitMix64 (Steele, Lea & Flood 2014) and of uniform numbers from it. No Numba."""

from __future__ import annotations

from typing import Final

import numpy as np

BLOCK = 256
"""Rows drawn at once; even, for a word is two numbers."""
STRIDE: Final = 0x9E3779B97F4A7C15
"""From one word's place on SplitMix64's cycle to the next one's."""
SHIFTS: Final = (30, 27, 31)
FACTORS: Final = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
"""Of its output function."""
UNIFORM_STEP: Final = 2.0**-32
"""From one probability that 32 bits can tell to the next."""
LARGEST_UNIFORM: Final = np.float32(1 - 2**-24)
"""The largest float32 below 1: the logarithm of what is missing to 1 is finite."""
