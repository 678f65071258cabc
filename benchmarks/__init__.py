"""Measurements: `python -m benchmarks [name …]`. They write into temporary folders only."""
