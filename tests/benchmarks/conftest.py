"""Makes the scripts of benchmarks/mechanism importable, as they import each other."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks" / "mechanism"))
