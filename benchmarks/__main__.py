"""All benchmarks, one after the other: `python -m benchmarks [--json FILE] [NAME ...]`."""

from __future__ import annotations

import argparse
import platform
import time
from importlib import import_module
from importlib.metadata import version

from benchmarks.driver import report

NAMES = ("chat", "stream", "embeddings", "decorators", "startup", "launcher", "price", "foreign", "spool")
FURTHER = ("langchain", "exits", "watching")
"""Those that need a package which the others do not, or minutes; only when they are named."""
HELP = f"{', '.join(NAMES)}, which are the default, or {', '.join(FURTHER)}"


def main() -> None:
    """Run the benchmarks that are named; all of them when none is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *NAMES, *FURTHER], metavar="NAME", help=HELP)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too; - for JSON alone")
    options = parser.parse_args()
    begun = time.monotonic()
    results = [import_module(f"benchmarks.{name}").measure() for name in options.names or NAMES]
    report(results, options.json)
    if options.json != "-":
        seconds = time.monotonic() - begun
        sdk, openai = version("opentelemetry-sdk"), version("openai")
        python = platform.python_version()
        print(f"Python {python}, opentelemetry-sdk {sdk}, openai {openai}; {seconds:.0f} s")


if __name__ == "__main__":
    main()
