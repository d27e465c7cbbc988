#!/usr/bin/env python3
"""Put two runs side by side, row by row: what became faster, what slower, what is noise.

    build/bin/hlq_perf --ranks 2 --json before.json      likewise hlq_kernels --json FILE, and the
    build/bin/hlq_perf --ranks 2 --json after.json       network.json that bench/netlab.py writes
    bench/compare.py before.json after.json

Rows are matched by what was run. The ratio is that of the second to the first, in brackets from
the least to the most that the spreads of both allow: of hlq_perf from the fastest to the slowest
call, of netlab.py over its rounds, of hlq_kernels the 80 % range that it tells itself. A row is
marked where the ratio 1 lies outside. hlq_kernels is compared by speed beside memcpy, which a busy
machine changes less than GB/s. Rows that one run alone has are listed below.

Exit code 0, whatever changed; 2: a file that is none of these, or two of different tools.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perf_runs import rate_text, short, size_text

Key = tuple[str, ...]


class BadInput(Exception):
    """What is wrong with a file, or with both; a sentence."""


@dataclass(frozen=True)
class Figure:
    """A time or a speed, and between what it lay."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Run:
    """One file: figures by what was run, and how it was."""

    tool: str
    names: Key  # of what a key consists of
    unit: str
    more_is_faster: bool
    figures: dict[Key, Figure]
    facts: dict[str, Any]


def numbered(rows: dict[Key, Figure], key: Key) -> Key:
    """The key itself, or where it is taken the key with a number: rows stay in their order."""
    number, found = 1, key
    while found in rows:
        number += 1
        found = (*key[:-1], f"{key[-1]} #{number}")
    return found


def read_perf(content: dict[str, Any]) -> Run:
    """Of hlq_perf --json."""
    figures: dict[Key, Figure] = {}
    for row in content["rows"]:
        bits = "–" if row["bits"] is None else f"{row['bits']:g}"
        key = (size_text(row["size"]), row["dtype"], row["asked"], bits)
        times = (row["time_us"], row["time_min_us"], row["time_max_us"])
        figures[numbered(figures, key)] = Figure(*(us / 1e3 for us in times))
    names = ("tensor", "type", "algorithm", "bits")
    facts = ("op", "ranks", "transport", "mpi", "lattice", "topology", "input", "in_place", "iters")
    return Run("hlq_perf", names, "ms", False, figures, pick(content, facts))


def read_kernels(content: dict[str, Any]) -> Run:
    """Of hlq_kernels --json."""
    figures: dict[Key, Figure] = {}
    for row in content["rows"]:
        key = (row["kernel"], row["variant"], str(row["bits"]))
        middle, half = row["ratio"], 1 + row["spread"] / 2  # spread is from the 10 % to the 90 %
        figure = Figure(middle, middle / half, middle * half)
        figures[numbered(figures, key)] = figure
    names = ("kernel", "variant", "bits")
    return Run("hlq_kernels", names, "× memcpy", True, figures, pick(content, ("size",)))


def read_netlab(content: dict[str, Any]) -> Run:
    """Of bench/netlab.py."""
    times: dict[Key, list[float]] = {}
    for row in content["rows"]:
        place = (str(row["ranks"]), rate_text(row["rate"]), size_text(row["size"]))
        times.setdefault((*place, row["method"]), []).append(row["time_us"] / 1e3)
    figures = {key: Figure(statistics.median(t), min(t), max(t)) for key, t in times.items()}
    names = ("ranks", "rate", "tensor", "method")
    facts = ("rounds", "machine", "mpi")
    return Run("netlab", names, "ms", False, figures, pick(content, facts))


def pick(content: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """What is said of a run as a whole; all tools tell version and kernels."""
    return {name: content.get(name) for name in ("version", "kernels", *names)}


READERS = {"hlq_perf": read_perf, "hlq_kernels": read_kernels, "netlab": read_netlab}


def read(file: Path) -> Run:
    """A file of any of these tools. Raises BadInput."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        run = READERS[content["tool"]](content)
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        tools = ", ".join(READERS)
        raise BadInput(f"{file} is no JSON of {tools}, or not a whole one") from error
    if not run.figures or not all(figure.low > 0 for figure in run.figures.values()):
        raise BadInput(f"{file} has no rows, or rows without times")
    return run


def ratio(before: Figure, after: Figure) -> Figure:
    """After over before, and the least and the most it may be."""
    return Figure(after.middle / before.middle, after.low / before.high, after.high / before.low)


def verdict(found: Figure, more_is_faster: bool) -> str:
    """Says "faster", "slower", or nothing where the spreads of both leave room for 1."""
    if found.low <= 1 <= found.high:
        return ""
    return "faster" if (found.middle > 1) == more_is_faster else "slower"


def differences(first: Run, second: Run) -> Iterator[str]:
    """What is said of the runs as a whole, where it is not the same."""
    for name, value in first.facts.items():
        other = second.facts.get(name)
        if value != other:
            yield f"{name}: {value} in A, {other} in B"


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table of Markdown that can be read as it is."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"| {' | '.join(cells)} |"
        if number == 0:
            yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"


def compare(first: Run, second: Run, only_changed: bool) -> Iterator[str]:
    """Lines of the report."""
    for line in differences(first, second):
        yield f"Not alike: {line}"
    table = [(*first.names, f"A, {first.unit}", f"B, {first.unit}", "B ÷ A", "")]
    counts = {"faster": 0, "slower": 0, "": 0}
    for key, before in first.figures.items():
        if key not in second.figures:
            continue
        after = second.figures[key]
        found = ratio(before, after)
        mark = verdict(found, first.more_is_faster)
        counts[mark] += 1
        if mark or not only_changed:
            text = f"{found.middle:.2f} ({found.low:.2f} … {found.high:.2f})"
            table.append((*key, short(before.middle), short(after.middle), text, mark))
    if len(table) > 1:
        yield from aligned(table)
    yield (
        f"{sum(counts.values())} rows in both: {counts['faster']} faster, "
        f"{counts['slower']} slower, {counts['']} within the spread"
    )
    for name, here, there in (("A", first, second), ("B", second, first)):
        for key in here.figures:
            if key not in there.figures:
                yield f"Only in {name}: {', '.join(key)}"


def main(words: list[str]) -> int:
    """Reads both, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", type=Path, metavar="A.json")
    parser.add_argument("second", type=Path, metavar="B.json")
    parser.add_argument("--changed", action="store_true", help="only rows that are marked")
    options = parser.parse_args(words)
    try:
        first, second = read(options.first), read(options.second)
        if first.tool != second.tool:
            raise BadInput(f"A is of {first.tool}, B of {second.tool}: they have no row in common")
    except BadInput as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    print("\n".join(compare(first, second, options.changed)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
