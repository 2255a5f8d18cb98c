"""Benchmarks: `python -m bench [--only WORD] [--seeds N]` prints one table and writes JSON to bench/results/."""
