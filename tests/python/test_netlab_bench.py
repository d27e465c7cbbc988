"""bench/netlab.py: what it measures, leaves out and writes, on a network that is made up.

A stand-in for launch/netlab runs hlq_perf on threads, or writes rows whose times follow from bits,
bytes and rate: as exact as no network is.
"""

import json
import os
import stat
import sys
from pathlib import Path

import jobs
import pytest

sys.path.append(str(jobs.ROOT / "bench"))
import netlab
import perf_runs

PERF = Path(os.environ.get("HLQ_PERF", jobs.ROOT / "build/bin/hlq_perf"))

# N RATE -- hlq_perf OPTIONS: writes hlq_perf's JSON; a call takes as long as its bytes do.
MADE_UP = """\
import json, sys
ranks, rate, words = int(sys.argv[1]), sys.argv[2], sys.argv[5:]
if rate == "3gbit":
    sys.exit("netlab: tc cannot shape to 3gbit here")
value = lambda name: words[words.index(name) + 1]
size, per_second = int(value("-b")), {"100mbit": 1e8, "1gbit": 1e9}.get(rate, 1e10)
methods = [("auto", float(b)) for b in value("--bits").split(",")]
methods += [("twoshot", bits) for _, bits in methods]
lists = [word.partition("=")[2].split(",") for word in words if word.startswith("--baselines=")]
methods += [(name, {"fp32": 32, "bf16": 16, "fp8": 8.125}[name]) for l in lists for name in l]
rows = []
for name, bits in methods:
    us = 1e6 * 2 * (ranks - 1) / ranks * size * bits / 32 * 8 / per_second
    row = dict.fromkeys(["bits_per_elem", "wire_bytes", "control_bytes", "retries"], 0)
    row |= {"alg": "oneshot" if name == "auto" else name, "asked": name, "bits": bits, "size": size}
    row |= dict.fromkeys(["time_us", "time_min_us", "time_max_us", "exchange_us"], us)
    rows.append(row | dict.fromkeys(["encode_us", "reduce_us", "decode_us"], us / 10))
head = {"mpi": "an MPI", "kernels": "scalar"}
json.dump(head | {"rows": rows}, open(value("--json"), "w"))
"""
THREADS = """\
import os, sys
os.execv(sys.argv[4], [*sys.argv[4:], "--ranks", sys.argv[1]])
"""


def stand_in(folder: Path, text: str) -> Path:
    """A program in place of launch/netlab; in its first line, no path may have spaces."""
    code, path = folder / "stand_in.py", folder / "netlab"
    code.write_text(text)
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{code}" "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def measure(folder: Path, text: str, *options: object) -> tuple[int, dict, str]:
    """Exit code, JSON and page of a run on a stand-in."""
    words = ["--netlab", stand_in(folder, text), "--output", folder / "out", *options]
    code = netlab.main([str(word) for word in words])
    content = json.loads((folder / "out/network.json").read_text())
    return code, content, (folder / "out/network.md").read_text()


def test_medians_and_speed_ups_are_those_of_the_rows(tmp_path: Path) -> None:
    options = ("--ranks", "2,4", "--rates", "1gbit,100mbit", "--sizes", "64K,1M,16M")
    code, content, page = measure(tmp_path, MADE_UP, *options, "--bits", "2,4", "--rounds", 2)
    assert code == 0 and "Nothing was left out" in page
    assert len(content["rows"]) == 2 * 2 * 3 * 2 * (3 + 2 * 2)
    table = page.partition("## 4 ranks, 100 Mb/s")[2].splitlines()
    # 2 (n-1)/n of 16 MiB at 100 Mb/s take 2013 ms; of 4 bits, an eighth.
    times = next(line for line in table if line.startswith("| 16 MiB"))
    assert times.startswith("| 16 MiB | 2013 | 2013 (2013 … 2013) | 1007 (1007")
    assert "| 252 (252 … 252) | oneshot |" in times
    ratios = next(line for line in table[table.index(times) + 1 :] if line.startswith("| 16 MiB"))
    assert "2.00 (2.00 … 2.00) | 3.94 (3.94 … 3.94) | 16.00" in ratios
    for picture in ("time", "speed_up", "stages"):
        file = tmp_path / f"out/network_{picture}.png"
        assert file.read_bytes().startswith(b"\x89PNG") and f"]({file.name})" in page


def test_calls_follow_from_what_a_call_takes(tmp_path: Path) -> None:
    options = ("--ranks", 2, "--rates", "100mbit", "--sizes", "1K,1M,16M", "--bits", 4)
    _, content, _ = measure(tmp_path, MADE_UP, *options, "--rounds", 1, "--seconds-per-row", 1)
    calls = {row["size"]: row["calls"] for row in content["rows"]}
    # fp32 is slowest: twice 84 ms are expected of 1 MiB. Then 84 ms are known, and 1342 follow.
    assert calls == {1 << 10: 20, 1 << 20: 5, 1 << 24: 1}


def test_what_takes_too_long_is_left_out_and_listed(tmp_path: Path) -> None:
    options = ("--ranks", 8, "--rates", "100mbit", "--sizes", "16M,256M", "--bits", "4,8")
    code, content, page = measure(tmp_path, MADE_UP, *options, "--row-limit", 30)
    assert code == 0
    there = {row["method"] for row in content["rows"] if row["size"] == 1 << 28}
    assert there == {"fp8", "hlq 4", "hlq 8", "auto 4", "auto 8"}
    left_out = {(row["size"], row["method"]) for row in content["left_out"]}
    assert left_out == {(1 << 28, "fp32"), (1 << 28, "bf16")}
    assert "| 8 | 100 Mb/s | 256 MiB | fp32 | a call would take about 38 s, and 2 are" in page


def test_what_memory_cannot_hold_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(netlab, "free_memory", lambda: 1e9)
    options = ("--ranks", 4, "--rates", "unshaped", "--sizes", "1M,256M", "--bits", 4)
    code, content, page = measure(tmp_path, MADE_UP, *options)
    assert code == 0 and {row["size"] for row in content["rows"]} == {1 << 20}
    assert "fp32, bf16, fp8, hlq 4, auto 4 | needs about 3.5 GiB of memory" in page


def test_a_run_that_fails_is_told_and_the_others_stay(tmp_path: Path) -> None:
    options = ("--ranks", 2, "--rates", "3gbit,1gbit", "--sizes", "1M", "--bits", 4)
    code, content, page = measure(tmp_path, MADE_UP, *options)
    assert code == 1 and {row["rate"] for row in content["rows"]} == {"1gbit"}
    assert "round 1: exit code 1: netlab: tc cannot shape to 3gbit here" in page


@pytest.mark.skipif(not PERF.exists(), reason="hlq_perf is not built")
def test_hlq_perf_writes_what_is_read(tmp_path: Path) -> None:
    options = ("--ranks", 2, "--rates", "unshaped", "--sizes", "64K,256K", "--bits", "3.5,6")
    code, content, page = measure(tmp_path, THREADS, *options, "--perf", PERF, "--rounds", 1)
    assert code == 0 and "## 2 ranks, unshaped" in page
    methods = ["fp32", "bf16", "fp8", "hlq 3.5", "hlq 6", "auto 3.5", "auto 6"]
    assert {row["method"] for row in content["rows"]} == set(methods)
    assert all(row["time_us"] > 0 for row in content["rows"])
    again = ["--from", str(tmp_path / "out/network.json"), "--output", str(tmp_path / "again")]
    assert netlab.main(again) == 0 and (tmp_path / "again/network.md").read_text() == page


@pytest.mark.skipif(not PERF.exists(), reason="hlq_perf is not built")
@pytest.mark.parametrize("given", ["fp16", ""])
def test_hlq_perf_knows_its_baselines(given: str) -> None:
    ended = jobs.run([PERF, f"--baselines={given}"])
    assert ended.returncode == 2 and ended.stdout.count("\n") == 1
    assert f"--baselines={given}: the baselines are fp32, bf16, fp8 and int4" in ended.stdout


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--ranks", "1"), "--ranks: 1 is not a number from 2 to 64"),
        (("--rates", "fast"), '--rates: fast is no rate such as 100mbit, 1gbit or "unshaped"'),
        (("--sizes", "1K,much"), "--sizes: much is no size such as 4096, 64K or 16M"),
        (("--bits", "four"), "--bits: four is not a number from 1 to 12"),
        (("--rounds", "0"), "--rounds: 0 is not a number from 1 to 1000"),
        (("--from", "none.json"), "none.json is not a file of netlab.py's"),
    ],
)
def test_command_lines_of_no_use_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as end:
        netlab.main([*options, "--output", str(tmp_path)])
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.count(sentence) == 1


def test_texts() -> None:
    assert perf_runs.rate_text("100mbit") == "100 Mb/s" and perf_runs.rate_text("8kbit") == "8 kb/s"
    assert perf_runs.size_text(1 << 16) == "64 KiB" and perf_runs.size_text(1000) == "1000 B"
    assert perf_runs.time_text([0.0123, 1.0, 2.0]) == "1000 (12.3 … 2000)"
