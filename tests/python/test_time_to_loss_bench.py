"""bench/time_to_loss.py: runs of the examples become seconds to a loss, a page and a plot.

A stand-in for launch/netlab writes the log of a training that is known, or starts the example over
MPI without a network.
"""

import json
import stat
import sys
from pathlib import Path

import jobs
import pytest

sys.path.append(str(jobs.ROOT / "bench"))
import time_to_loss
from time_to_loss_report import smoothed

# N RATE -- env NAME=VALUE... python EXAMPLE OPTIONS: a step takes what its bytes take, and 10 ms.
MADE_UP = """\
import json, sys
words = sys.argv[4:]
value = lambda name: words[words.index(name) + 1]
how, steps = value("--comm"), int(value("--steps"))
if how == "bf16" and "digits" in " ".join(words):
    sys.exit("rank 1 gives up")
megabits = {"fp32": 32, "bf16": 16, "hook": 4}[how]
step_s = 0.01 + megabits / {"100mbit": 100, "1gbit": 1000}[sys.argv[2]]
slow = 1.0 if how == "fp32" else 1.25  # as many steps to the same loss
with open(value("--log"), "w") as log:
    for step in range(1, steps + 1):
        line = {"step": step, "loss": 4 - step / slow / 100, "seconds": step * step_s}
        print(json.dumps(line | {"bytes": step * megabits * 125000}), file=log)
"""
OVER_MPI = """\
import os, sys
words = [word for word in sys.argv[5:] if not word.startswith(("MASTER_", "GLOO_", "OMP_"))]
os.execvp("mpirun", ["mpirun", "-n", sys.argv[1], *words])
"""


def measure(folder: Path, text: str, *options: object) -> tuple[int, dict, str]:
    """Exit code, JSON and page of a run on a stand-in."""
    code, program = folder / "stand_in.py", folder / "netlab"
    code.write_text(text)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{code}" "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    words = ["--netlab", program, "--output", folder / "out", *options]
    ended = time_to_loss.main([str(word) for word in words])
    content = json.loads((folder / "out/time_to_loss.json").read_text())
    return ended, content, (folder / "out/time-to-loss.md").read_text()


def test_seconds_to_the_loss_that_all_reach(tmp_path: Path) -> None:
    options = ("--examples", "bytes", "--steps", 100, "--smooth", 1, "--rounds", 2)
    ended, content, page = measure(tmp_path, MADE_UP, *options)
    assert ended == 0 and len(content["runs"]) == 2 * 2 * 3 * 2
    # The slower learners end at 4 - 80 / 100, where fp32 is after 80 steps of 0.33 s.
    rows = [line for line in page.splitlines() if line.startswith("| 4 | 100 Mb/s | 3.2000 |")]
    assert [row.split(" | ", 3)[3] for row in rows] == [
        "fp32 | 80 | 26.4 (26.4 … 26.4) | – | 320.0 | 25.6 |",
        "bf16 | 100 | 17.0 (17.0 … 17.0) | 1.55 (1.55 … 1.55) | 200.0 | 16.0 |",
        "hlq 4 | 100 | 5.0 (5.0 … 5.0) | 5.28 (5.28 … 5.28) | 50.0 | 4.0 |",
    ]
    assert "](time-to-loss.png)" in page
    assert (tmp_path / "out/time-to-loss.png").read_bytes().startswith(b"\x89PNG")
    again = tmp_path / "again"
    source = tmp_path / "out/time_to_loss.json"
    assert time_to_loss.main(["--from", str(source), "--output", str(again)]) == 0
    assert (again / "time-to-loss.md").read_text() == page


def test_a_loss_that_is_given_may_not_be_reached(tmp_path: Path) -> None:
    options = ("--examples", "bytes", "--ranks", 2, "--rates", "1gbit", "--steps", 20)
    ended, _, page = measure(tmp_path, MADE_UP, *options, "--smooth", 1, "--loss", 3.83)
    assert ended == 0
    assert "| 2 | 1 Gb/s | 3.8300 | fp32 | 17 | 0.7 | – | 68.0 | 0.5 |" in page
    assert "| 2 | 1 Gb/s | 3.8300 | hlq 4 | – | not reached | – | – | – |" in page


def test_a_run_that_fails_is_told_and_the_others_stay(tmp_path: Path) -> None:
    options = ("--examples", "digits", "--ranks", 2, "--rates", "1gbit", "--steps", 12)
    ended, content, page = measure(tmp_path, MADE_UP, *options)
    assert ended == 1 and [run["gradients"] for run in content["runs"]] == ["fp32", "hlq 4"]
    assert "- Failed: digits, 2 ranks, 1 Gb/s, bf16: exit code 1: rank 1 gives up" in page


def test_the_examples_write_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in jobs.environment().items():
        monkeypatch.setenv(name, value)
    options = ("--examples", "digits", "--ranks", 2, "--rates", "1gbit", "--steps", 12)
    ended, content, page = measure(tmp_path, OVER_MPI, *options)
    assert ended == 0, (tmp_path / "out/digits_2_1gbit_fp32_0.txt").read_text()
    sent = {run["gradients"]: run["bytes"][-1] for run in content["runs"]}
    assert sent["bf16"] == 12 * 2 * 217_546 == sent["fp32"] / 2, "a ring's bytes"
    assert sent["hlq 4"] < sent["bf16"] / 3
    assert "Failed" not in page and page.count("| 2 | 1 Gb/s | ") == 3


def test_smoothing_needs_as_many_steps() -> None:
    means = smoothed([1.0, 2.0, 3.0, 4.0], 3)
    assert means[2:] == [2.0, 3.0] and all(mean != mean for mean in means[:2])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--examples", "words"), "--examples: words is not one of bytes, digits"),
        (("--rates", "1 Gb/s"), "--rates: 1 Gb/s is no rate such as"),
        (("--steps", "0"), "--steps: 0 is not a number from 1 to 1000000"),
        (("--loss", "low"), "--loss: low is not a number from 0 to 1000"),
        (("--from", "none.json"), "none.json is not a file of time_to_loss.py's"),
    ],
)
def test_command_lines_of_no_use_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as end:
        time_to_loss.main([*options, "--output", str(tmp_path)])
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.count(sentence) == 1
