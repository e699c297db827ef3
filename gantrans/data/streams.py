"""Independent random streams: one 64-bit seed per (seed, purpose, index), so no item depends on another.

The purpose and the user's seed are hashed once; the index is then mixed in by the finaliser of SplitMix64
(Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
"""

import hashlib
from collections.abc import Iterable

_MASK = (1 << 64) - 1


def stream_seeds(seed: int, purpose: str, indices: Iterable[int]) -> list[int]:
    """One 64-bit seed per index; different purposes ("layout", "sem", ...) give unrelated streams."""
    base = int.from_bytes(hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=8).digest(), "little")
    return [_mix(base + (int(index) + 1) * 0x9E3779B97F4A7C15) for index in indices]


def _mix(z: int) -> int:
    z &= _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)
