"""Random numbers that are the same on every machine.

Only uniform numbers, integers and permutations are drawn, and what passes through exp, cos or a power is
rounded to integers before it decides anything: the last bit of such functions differs between processors.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


def stream(seed: int, number: int) -> np.random.Generator:
    """An independent generator for one part of the simulation, so that a change in one moves no other."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(number,))))


def bell(rng: np.random.Generator, size: int) -> Floats:
    """Nearly normal numbers with mean 0 and deviation 1: sums of four uniform ones. Shape (size,)."""
    u = rng.random((4, size))
    sums: Floats = (u[0] + u[1] + u[2] + u[3] - 2.0) * 1.7320508075688772
    return sums


def integers(rng: np.random.Generator, below: int | Ints, size: int) -> Ints:
    """Uniform integers from 0 to `below` (exclusive), which may be one bound per draw. Shape (size,)."""
    drawn: Ints = (rng.random(size) * below).astype(np.int64)
    return drawn


def running(counts: Ints) -> Ints:
    """0, 1, …, counts[0]-1, 0, 1, …, counts[1]-1, … Shape (counts.sum(),)."""
    starts = np.cumsum(counts) - counts
    return np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(starts, counts)


def first_of_each(keys: Ints) -> Flags:
    """True at the first place where each key appears. Shape of `keys`."""
    first: Flags = np.zeros(len(keys), dtype=np.bool_)
    first[np.unique(keys, return_index=True)[1]] = True
    return first
