import os

# Test processes share the cores, so that numpy's own threads would wait for each other. Read at its import.
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
