"""One rival's search in a process of its own: `rival_run.py MODULE WORK.json`.

Prints one JSON line: what was found, and the time it took, the imports left out.
"""

import importlib
import json
import sys
from pathlib import Path
from time import perf_counter

from rival_work import Found, Work


def main() -> int:
    """Run the rival that the command line names."""
    module, path = sys.argv[1:]
    work = Work(**json.loads(Path(path).read_text(encoding="utf-8")))
    rival = importlib.import_module(module)
    began = perf_counter()
    found: Found = rival.search(work)
    told = vars(found) | {"wall_s": perf_counter() - began}
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
