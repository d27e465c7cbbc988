#!/usr/bin/env python3
"""Count the lane words (kernels/lanes/) that a block costs to encode and to decode.

A word of floats is two operations of AVX-512, four of AVX2; one of 16-bit integers half of that. E8
blocks of normal numbers, counted in the scalar variant, which every other one follows word by word,
but where its vocabulary does several at once (kernels/README.md).

    bench/lane_words.py             at 4 bits
    bench/lane_words.py 2 3 4 8
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [
    "bench/lane_words.c",
    *(f"kernels/cpu/{name}.c" for name in ("scalar", "scalar_hnlq", "scalar_look_up")),
]
FLAGS = ["-std=c11", "-O1", "-no-pie", "-ffp-contract=off", "-finstrument-functions"]
INCLUDES = ["-I.", "-Ilibhlqcomm/include"]
PLANES = {"i_plane", "i_set_plane"}


def build(program: Path) -> dict[int, str]:
    """Compiles the counter; its functions by address."""
    compiler = shlex.split(os.environ.get("CC", "gcc"))
    command = [*compiler, *FLAGS, *INCLUDES, *SOURCES, "-lm", "-o", str(program)]
    subprocess.run(command, cwd=ROOT, check=True)
    listed = subprocess.run(["nm", str(program)], check=True, capture_output=True, text=True)
    lines = [line.split() for line in listed.stdout.splitlines()]
    return {int(line[0], 16): line[2].partition(".")[0] for line in lines if len(line) == 3}


def count(program: Path, names: dict[int, str], bits: int) -> dict[str, Counter[str]]:
    """Calls per block of each word, by kernel."""
    run = subprocess.run([str(program), str(bits)], check=True, capture_output=True, text=True)
    words: dict[str, Counter[str]] = {"encode": Counter(), "decode": Counter()}
    for line in run.stdout.splitlines():
        kernel, address, calls = line.split()
        name = names.get(int(address, 16), "")
        if re.match("[fims]_", name):
            words[kernel][name] += float(calls)
    return words


def main() -> None:
    """Counts, prints a table of Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bits", type=int, nargs="*", choices=range(2, 13), metavar="BITS")
    options = parser.parse_args()
    print("| bits | kernel | floats | integers and masks | of these for planes |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "lane_words"
        names = build(program)
        for bits in options.bits or [4]:
            for kernel, words in count(program, names, bits).items():
                floats = sum(n for name, n in words.items() if name.startswith("f_"))
                planes = sum(n for name, n in words.items() if name in PLANES)
                others = sum(words.values()) - floats
                print(f"| {bits} | {kernel} | {floats:.0f} | {others:.0f} | {planes:.0f} |")


if __name__ == "__main__":
    main()
