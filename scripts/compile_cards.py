"""Write the rate cards that the package ships, or check that they are up to date.

python scripts/compile_cards.py           writes src/otel_agentops/pricing/cards.jsonl
python scripts/compile_cards.py --check   exits with 1 when the file is not what would be written
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from otel_agentops.pricing.compiling import compile_lines

CARDS = Path(__file__).parent.parent / "src" / "otel_agentops" / "pricing" / "cards.jsonl"


def main() -> int:
    """Compile the cards from the installed genai-prices; the exit status is for CI."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    check = parser.parse_args().check
    data_time = _shipped_time() if check else datetime.now(UTC).date().isoformat()
    fresh = "\n".join([*compile_lines(data_time), ""])
    if not check:
        CARDS.write_text(fresh, encoding="utf-8", newline="\n")
        print(f"wrote {len(fresh)} bytes")
        return 0
    same = CARDS.read_text(encoding="utf-8") == fresh
    print("up to date" if same else "out of date: run scripts/compile_cards.py")
    return 0 if same else 1


def _shipped_time() -> str:
    with CARDS.open(encoding="utf-8") as file:
        return str(json.loads(file.readline())["data_time"])


if __name__ == "__main__":
    sys.exit(main())
