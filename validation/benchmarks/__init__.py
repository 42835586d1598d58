"""The benchmarks by which foundation potentials are scored, with fixed protocols.

Fifteen benchmarks in five domains. A protocol has a version: two numbers of one
benchmark are comparable only if their versions are the same. Each metric becomes a
score between 0 and 1 by a straight line from *bad* to *good*, clipped; scores are
averaged with weights, within a benchmark, within a domain, over domains.
"""

from lamplighter.validation.benchmarks.catalogue import CATALOGUE, benchmark
from lamplighter.validation.benchmarks.protocol import (
    DOMAIN_WEIGHTS,
    BenchmarkResult,
    Metric,
    Protocol,
    overall,
)

__all__ = [
    "CATALOGUE",
    "DOMAIN_WEIGHTS",
    "BenchmarkResult",
    "Metric",
    "Protocol",
    "benchmark",
    "overall",
]
