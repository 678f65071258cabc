"""What a list frees stays at hand for the next one, where the C library can keep it."""

import platform
import subprocess
import sys

import pytest

CODE = """
import resource
import numpy as np
from app.core.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(200):
        # Many at a time, so that the end of the heap is given back where nothing is kept.
        arrays = [np.ones(250_000, dtype=np.float32) for _ in range(12)]
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before, kept = faults(), keep_freed_memory()
faults()
print(kept, before, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can keep freed memory")
def test_arrays_of_requests_are_not_mapped_anew() -> None:
    found = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    kept, before, after = found.stdout.split()
    assert kept == "True"
    assert int(after) < int(before) / 20
