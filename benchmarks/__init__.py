"""The benchmark suite: ``anymae.benchmarks``.

Reached through the link ``anymae/benchmarks`` only, so that no class exists twice.
"""

if __name__ != "anymae.benchmarks":
    raise ImportError(f"{__name__!r} is a folder of anymae: import 'anymae.benchmarks' instead")
