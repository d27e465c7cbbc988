#!/usr/bin/env python3
"""Print the golden table of the quantizer beside what this build does, with the deviations.

The table (tests/hnlq_golden.csv) has error and rate of hierarchical, centred and flat codes on
normal numbers, at the best beta, as an independent simulation of 20,000 blocks found them. Exit
code 1 if a row is more than 4 % off in error or 1 % in rate. test_hnlq_golden does the same on
fewer blocks.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import NamedTuple

from hnlq import DEFAULT_LIBRARY, Code, Library, measure, normal_numbers

TABLE = Path(__file__).resolve().parent.parent / "tests/hnlq_golden.csv"
MSE_TOLERANCE, RATE_TOLERANCE = 0.04, 0.01


class Row(NamedTuple):
    """One line of the golden table."""

    code: Code
    beta: float
    mse: float
    rate: float


def read_table(path: Path) -> list[Row]:
    """The rows of the golden table."""
    with path.open(encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith("#")]
    return [
        Row(
            Code(line["lattice"], int(line["q"]), int(line["depth"]), line["code"]),
            float(line["beta"]),
            float(line["mse"]),
            float(line["rate"]),
        )
        for line in csv.DictReader(lines)
    ]


def compare(library: Library, row: Row, blocks: int, seed: int) -> bool:
    """Print one row; whether it is within the tolerances."""
    code = row.code
    got = measure(library, code, row.beta, normal_numbers(blocks, code.dim, seed))
    mse_off, rate_off = got.mse / row.mse - 1, got.rate / row.rate - 1
    good = abs(mse_off) <= MSE_TOLERANCE and abs(rate_off) <= RATE_TOLERANCE
    print(
        f"{code.lattice:<3}{code.q:>2}{code.depth:>3}  {code.kind:<8}{row.beta:>8.4g}"
        f"{row.mse:>11.4g}{got.mse:>11.4g}{mse_off:>+8.1%}"
        f"{row.rate:>8.2f}{got.rate:>8.3f}{rate_off:>+8.2%}"
        f"{got.retried:>9.1%}{got.gap_db:>8.2f}{'' if good else '  beyond tolerance'}"
    )
    return good


def main() -> int:
    """Run all rows; 1 if one is beyond tolerance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, default=DEFAULT_LIBRARY, help="libhlqcomm.so")
    parser.add_argument("--blocks", type=int, default=400_000, help="vectors in each row")
    parser.add_argument("--seed", type=int, default=1, help="of the numbers")
    arguments = parser.parse_args()
    library, rows = Library(arguments.library), read_table(TABLE)
    print(f"kernels {library.variant()}, {arguments.blocks} vectors in each row")
    print(
        "L   q  M  code        beta  mse table   measured     off    rate     got     off", end=""
    )
    print("  T > 0   dB from Shannon")
    bad = sum(not compare(library, row, arguments.blocks, arguments.seed) for row in rows)
    print(
        f"{len(rows)} rows, {bad} beyond {MSE_TOLERANCE:.0%} in mse or {RATE_TOLERANCE:.0%} in rate"
    )
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
