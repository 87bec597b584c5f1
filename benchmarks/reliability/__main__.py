"""All faults, one after the other: `python -m benchmarks.reliability [--short] [--write FILE] [NAME ...]`.

Exits with 1 where a promise is broken: a lost or wrong span always; a time only where it is so far off that
no busy machine explains it.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

from benchmarks.reliability import disks, ends, loops, outage, sizes, soak
from benchmarks.reliability.table import LONG, SHORT, Fault, Results, table, write

FAULTS = (
    Fault("exits", "collector refuses, hangs, says 503 or 429 or is slow, at the exit", ends.at_exit),
    Fault("outage", "collector away for long, 1,000 spans/s, then back", outage.away_and_back),
    Fault("ends", "SIGTERM, fork children, pools", ends.every_end),
    Fault("kills", 'SIGKILL at random moments, `durability="crash"`', ends.killed),
    Fault("disks", "disk full, read-only, gone", disks.bad_disks),
    Fault("damage", "torn or flipped files", disks.damaged),
    Fault("sizes", "4 MiB limit of gRPC, 100 MB at once, prompt of 10 MB", sizes.too_large),
    Fault("loop", "event loop during the export to a server that takes 2 s", loops.stalls),
    Fault("soak", "50 threads and 500 tasks; collector well, slow, failing, dead, back", soak.soak),
)


def main() -> None:
    """Make the faults happen that are named; all of them when none is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    names = [fault.name for fault in FAULTS]
    parser.add_argument("names", nargs="*", choices=[[], *names], metavar="NAME", help=", ".join(names))
    parser.add_argument("--short", action="store_true", help="minutes instead of half an hour")
    parser.add_argument("--write", metavar="FILE", type=Path, help="put the table into this document")
    options = parser.parse_args()
    results: Results = []
    for fault in FAULTS:
        if fault.name in (options.names or names):
            begun = time.monotonic()
            results.append((fault, fault.run(SHORT if options.short else LONG)))
            print(f"{fault.name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
            for check in results[-1][1]:
                print(f"  {check.verdict:>10} {check.what}: {check.measured}", file=sys.stderr, flush=True)
    print(table(results))
    if options.write:
        titles = [fault.title for fault in FAULTS]
        write(options.write, _circumstances("Short" if options.short else "Long"), results, titles)
    broken = [f"{fault.name}: {check.what}: {check.measured}" for fault, checks in results
              for check in checks if check.broken]  # fmt: skip
    if broken:
        raise SystemExit("broken:\n" + "\n".join(broken))


def _circumstances(form: str) -> str:
    day, sdk = time.strftime("%d %B %Y", time.gmtime()), version("opentelemetry-sdk")
    where = f"CPython {platform.python_version()}, opentelemetry-sdk {sdk}, {os.cpu_count()} cores"
    return f"{form} form, {day}, {where}, other programs on the same machine:"


if __name__ == "__main__":
    main()
