"""One contestant's search in a process of its own: `peer_run.py MODULE WORK.json LEAST_S`.

Prints one JSON line: what was found, and what it cost. The search is repeated until LEAST_S seconds
have passed, and the median time counts; imports are timed apart. Memory is the process' peak.
"""

import importlib
import json
import resource
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

from peer_work import Found, Work

MIB_PER_MAXRSS = 1 / 2**20 if sys.platform == "darwin" else 1 / 2**10  # bytes there, else KiB


def main() -> int:
    """Run the contestant that the command line names."""
    module, path, least_s = sys.argv[1:]
    work = Work(**json.loads(Path(path).read_text(encoding="utf-8")))
    began = perf_counter()
    contestant = importlib.import_module(module)
    import_s, imported_mib = perf_counter() - began, _peak_mib()
    times_s: list[float] = []
    while sum(times_s) < float(least_s) or not times_s:
        began = perf_counter()
        found: Found = contestant.search(work)
        times_s.append(perf_counter() - began)
    cost = {
        "wall_s": median(times_s),
        "repeats": len(times_s),
        "networks_per_minute": 60 * found.networks / median(times_s),
        "import_s": import_s,
        "peak_mib": _peak_mib(),
        "imported_mib": imported_mib,
    }
    sys.stdout.write(json.dumps(vars(found) | cost) + "\n")
    return 0


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MIB_PER_MAXRSS


if __name__ == "__main__":
    sys.exit(main())
