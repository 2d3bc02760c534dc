"""What the cases share: inputs by the same formula as ours, threads, and a timing loop."""

import functools
import os
import time

import numpy as np


def fill(stream, shape, scale, dtype=np.float64):
    """Element i, in row-major order, is scale·sin(0.7·i + 1.3·stream); benches/src/peer.rs has the same function."""
    i = np.arange(int(np.prod(shape)), dtype=np.float64)
    return (scale * np.sin(0.7 * i + 1.3 * stream)).reshape(shape).astype(dtype)


def noise(stream, shape, scale, dtype=np.float64):
    """The bits of a hash of each element's index, uniform in ±scale; benches/src/peer.rs has the same function."""
    with np.errstate(over="ignore"):
        x = np.arange(int(np.prod(shape)), dtype=np.uint32) + np.uint32(stream * 0x9E3779B9 % 2**32)
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
        x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
        x ^= x >> np.uint32(16)
    return (scale * (x.astype(np.float64) / 2**31 - 1)).reshape(shape).astype(dtype)


def sampled(arrays, most=1 << 16):
    """At most `most` numbers of all arrays in a row: every k-th; benches/src/bin/bench_nn.rs takes the same."""
    numbers = np.concatenate([np.asarray(a, dtype=np.float64).ravel() for a in arrays])
    return numbers[:: -(-numbers.size // most)]


def positive_definite(batch, n):
    """A = M·Mᵀ + n·I with M from stream 0, scale 1."""
    m = fill(0, (batch, n, n), 1.0)
    return m @ np.swapaxes(m, -1, -2) + n * np.eye(n)


@functools.cache
def torch():
    import torch as module

    threads = int(os.environ.get("PULLBACK_PEER_THREADS", "2"))
    module.set_num_threads(threads)
    module.set_num_interop_threads(1)
    return module


def timed(work):
    """measure(reps) for a function that does one repetition."""

    def measure(reps):
        start = time.perf_counter()
        for _ in range(reps):
            work()
        return (time.perf_counter() - start) / reps

    return measure
