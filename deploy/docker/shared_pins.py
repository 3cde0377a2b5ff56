"""Prints the pins, with their hashes, that all the named locks hold: images share a layer of them.

Called by service.Dockerfile. Locks are complete, so what all of them hold is complete too.
"""

import re
import sys
from pathlib import Path

_PIN = re.compile(r"^[^\s#][^\\\n]*(?:\\\n[^\\\n]*)*", re.MULTILINE)

shared = set.intersection(*(set(_PIN.findall(Path(name).read_text("utf-8"))) for name in sys.argv[1:]))
sys.stdout.write("".join(f"{pin}\n" for pin in sorted(shared)))
