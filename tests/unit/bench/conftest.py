"""Puts the folder of the benches on the path: they are scripts, which find what they share beside them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "bench"))
