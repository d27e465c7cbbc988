"""hlq_perf on a network of a given rate (launch/netlab): how it is run, what it wrote.

links.py and netlab.py measure with it, and write sizes, times and ratios as it does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NETLAB = ROOT / "launch/netlab"
PERF = "build/bin/hlq_perf"
RATES = ["100mbit", "1gbit", "10gbit", "unshaped"]
UNITS = {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}
MIB = 1 << 20


class RunFailed(Exception):
    """A run that came to nothing; the text says why."""


def network_command(ranks: int, rate: str, words: Sequence[str]) -> list[str]:
    """The command that runs a program on the network, without the repository's folder."""
    return ["launch/netlab", str(ranks), rate, "--", *words]


def run_on_network(
    ranks: int, rate: str, words: Sequence[str], netlab: Path = NETLAB, log: Path | None = None
) -> None:
    """Runs a program on the network, in the repository's folder; its output goes to log.

    Raises:
        RunFailed: it did not start, or ended with another exit code than 0.
    """
    command = [str(netlab), *network_command(ranks, rate, words)[1:]]
    try:
        ended = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise RunFailed(f"{netlab.name} cannot be run: {error.strerror}") from error
    if log is not None:
        log.write_text(ended.stdout + ended.stderr, encoding="utf-8")
    if ended.returncode != 0:
        said = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
        # Of what programs print, their own sentence; mpirun's essays come after it.
        own = [line for line in said if line.startswith(("hlq_perf:", "netlab:"))]
        reason = (own or said or ["it said nothing"])[-1]
        raise RunFailed(f"exit code {ended.returncode}: {reason}")


def run_perf(
    ranks: int, rate: str, options: Sequence[str], netlab: Path = NETLAB, perf: str = PERF
) -> dict[str, Any]:
    """hlq_perf's JSON of a run with these options.

    Raises:
        RunFailed: it failed, or wrote no JSON.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        run_on_network(ranks, rate, [perf, *options, "--json", str(file)], netlab)
        try:
            found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            _ = found["rows"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunFailed("hlq_perf wrote no JSON with rows") from error
    return found


def bits_per_second(rate: str) -> float | None:
    """1e9 of "1gbit"; None of "unshaped". ValueError if launch/netlab does not know the rate."""
    if rate == "unshaped":
        return None
    number = rate.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = rate[len(number) :]
    if not number.isdecimal() or number.startswith("0") or unit not in UNITS:
        raise ValueError(f'{rate} is no rate such as 100mbit, 1gbit or "unshaped"')
    return int(number) * UNITS[unit]


def ring_bits(ranks: int, size: int) -> float:
    """What each rank sends at least to sum tensors of this size among so many ranks, in bits."""
    return 2 * (ranks - 1) / ranks * 8 * size


def bytes_of(text: str) -> int:
    """65536 of "64K". ValueError if it is no size."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in "KMG" else (text, "")
    if not number.isdecimal() or int(number) == 0:
        raise ValueError(f"{text} is no size such as 4096, 64K or 16M")
    return int(number) << {"": 0, "K": 10, "M": 20, "G": 30}[unit]


def rate_text(rate: str) -> str:
    """100 Mb/s of "100mbit"."""
    for unit in UNITS:
        if rate.endswith(unit):
            return f"{rate.removesuffix(unit)} {unit[0].upper() if unit[0] != 'k' else 'k'}b/s"
    return rate


def size_text(size: int) -> str:
    """64 KiB, 16 MiB, 100 B."""
    if size >= MIB and size % MIB == 0:
        return f"{size // MIB} MiB"
    return f"{size >> 10} KiB" if size >= 1024 and size % 1024 == 0 else f"{size} B"


def short(value: float) -> str:
    """Three digits, never with an exponent: 0.0123, 4.5, 1830."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def time_text(seconds: Sequence[float]) -> str:
    """Milliseconds: median, and from the least to the most."""
    middle, low, high = (1e3 * f(seconds) for f in (statistics.median, min, max))
    return f"{short(middle)} ({short(low)} … {short(high)})"


def ratio_text(ratios: Sequence[float]) -> str:
    """Median, and from the least to the most."""
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} … {max(ratios):.2f})"


def command_text(program: str, words: Sequence[str]) -> str:
    """What was typed, to be typed again."""
    return shlex.join([program, *words])


def make_folder(parser: argparse.ArgumentParser, folder: Path) -> None:
    """That of --output. Exits with a sentence and code 2 if it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--output {folder}: {error.strerror}")


def read_results(tool: str, file: Path, needed: str) -> dict[str, Any]:
    """What bench/<tool>.py wrote to a file. Exits with a sentence and code 2 if it is another."""
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if content["tool"] == tool and isinstance(content[needed], list) and content[needed]:
            return content
    except (OSError, ValueError, KeyError, TypeError):
        pass
    print(f"{tool}.py: {file} is not a file of {tool}.py's", file=sys.stderr)
    sys.exit(2)


def machine() -> dict[str, Any]:
    """What matters of this machine, without names and places."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return {"processor": model, "cores": os.cpu_count(), "system": platform.system()}
