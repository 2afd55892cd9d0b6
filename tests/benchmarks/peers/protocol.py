"""How a benchmark talks to a peer in its own environment: one file of rows a line in, one figure a line out.

Belongs here: the loop that every adapter runs. Does not belong here: any library; this runs in the peers' environments,
with the folder of the adapters as its search path.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

# Libraries talk on stdout, even from other languages: all of it but our answers goes to stderr.
_ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def serve(prepare: Callable[[Path], Callable[[], object]], closing: Callable[[], Mapping[str, object]]) -> None:
    """For each line of stdin, the path of a day's rows: prepare it, do it, say how many seconds doing it took.

    ``prepare`` reads the rows and gives the work that is timed. What ``closing`` gives is said when stdin ends.
    """
    for line in sys.stdin:
        work = prepare(Path(line.strip()))
        begun = time.perf_counter()
        work()
        print(json.dumps({"seconds": time.perf_counter() - begun}), file=_ANSWERS, flush=True)
    print(json.dumps(closing()), file=_ANSWERS, flush=True)
