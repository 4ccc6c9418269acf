"""The benchmarks are scripts, whose modules find each other in their own folder; so do their tests."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
