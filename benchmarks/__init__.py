"""How fast modelfleet is, as ratios within one run on one machine: ``python -m benchmarks``.

Measures; never judges and never fails for being slow. What each row means is in
``docs/benchmarks.md``.
"""
