"""bench/compare.py: rows are matched, changes beyond the spread are marked, bad files refused."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import jobs
import pytest

sys.path.append(str(jobs.ROOT / "bench"))
import compare

PROGRAMS = Path(os.environ.get("HLQ_PERF", jobs.ROOT / "build/bin/hlq_perf")).parent
needs_programs = pytest.mark.skipif(
    not (PROGRAMS / "hlq_perf").exists(), reason="hlq_perf is not built"
)

Report = Callable[..., list[str]]


@pytest.fixture
def report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Report:
    """Lines of the report on two contents of files."""

    def of(first: object, second: object, *options: str) -> list[str]:
        files = [tmp_path / "a.json", tmp_path / "b.json"]
        for file, content in zip(files, (first, second), strict=True):
            file.write_text(json.dumps(content))
        assert compare.main([*map(str, files), *options]) == 0
        return capsys.readouterr().out.splitlines()

    return of


def perf(*rows: tuple, **facts: object) -> dict:
    """hlq_perf's JSON, of rows (algorithm, bits, microseconds: median, least, most)."""
    names = ("asked", "bits", "time_us", "time_min_us", "time_max_us")
    found = [
        dict(zip(names, row, strict=True)) | {"size": 1 << 20, "dtype": "float32"} for row in rows
    ]
    return {"tool": "hlq_perf", "rows": found} | facts


def test_changes_beyond_both_spreads_are_marked(report: Report) -> None:
    before = perf(
        ("twoshot", 4.0, 1000, 900, 1100),
        ("twoshot", 8.0, 1000, 900, 1100),
        ("fp32", None, 1000, 900, 1100),
    )
    after = perf(
        ("fp32", None, 1500, 1200, 1600),
        ("twoshot", 8.0, 1200, 1050, 1400),
        ("twoshot", 4.0, 500, 450, 550),
    )
    lines = report(before, after)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[2][:4] == ["1 MiB", "float32", "twoshot", "4"]
    assert cells[2][4:] == ["1", "0.5", "0.50 (0.41 … 0.61)", "faster"]
    assert cells[3][-1] == "", "1050 and 1100 overlap"
    assert cells[4][3:] == ["–", "1", "1.5", "1.50 (1.09 … 1.78)", "slower"]
    assert lines[-1] == "3 rows in both: 1 faster, 1 slower, 1 within the spread"
    assert len(report(before, after, "--changed")) == len(lines) - 1


def test_rows_of_one_run_alone_are_listed_and_twins_kept_apart(report: Report) -> None:
    twin = ("auto", None, 100, 90, 110)
    lines = report(perf(twin, twin, ("modq", 4.0, 1, 1, 1)), perf(twin, ("native", None, 1, 1, 1)))
    assert lines[-4].startswith("1 rows in both")
    assert lines[-3:] == [
        "Only in A: 1 MiB, float32, auto, – #2",
        "Only in A: 1 MiB, float32, modq, 4",
        "Only in B: 1 MiB, float32, native, –",
    ]


def test_runs_that_are_not_alike_say_so(report: Report) -> None:
    row = ("auto", 4.0, 100, 90, 110)
    lines = report(perf(row, ranks=2, kernels="avx2"), perf(row, ranks=4, kernels="avx2"))
    assert lines[0] == "Not alike: ranks: 2 in A, 4 in B" and not lines[1].startswith("Not alike")


def test_kernels_are_faster_where_they_are_more(report: Report) -> None:
    def kernels(beside_memcpy: float) -> dict:
        row = {"kernel": "encode", "variant": "avx2", "bits": 4, "spread": 0.05}
        return {"tool": "hlq_kernels", "rows": [row | {"ratio": beside_memcpy}]}

    assert "faster" in report(kernels(0.2), kernels(0.3))[2]
    assert "slower" in report(kernels(0.3), kernels(0.2))[2]
    assert report(kernels(0.30), kernels(0.31))[2].rstrip(" |").endswith(")")


def test_rounds_of_netlab_are_its_spread(report: Report) -> None:
    def network(*times_us: float) -> dict:
        place = {"ranks": 4, "rate": "1gbit", "size": 1 << 24, "method": "hlq 4"}
        rows = [place | {"round": i, "time_us": us} for i, us in enumerate(times_us)]
        return {"tool": "netlab", "rows": rows}

    row = report(network(100e3, 110e3, 120e3), network(50e3, 55e3, 130e3))[2]
    assert row.startswith("| 4     | 1 Gb/s | 16 MiB | hlq 4  | 110") and "0.50 (0.42" in row
    assert "faster" not in row
    assert "faster" in report(network(100e3, 110e3), network(50e3, 99e3))[2]


@needs_programs
def test_files_of_the_programs_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = {
        "hlq_perf": ["--ranks", 2, "-b", "64K", "-e", "64K", "-n", 2, "-w", 1, "--baselines"],
        "hlq_kernels": ["--size", "64K", "--seconds", "0.01", "--variant", "scalar"],
    }
    for name, options in commands.items():
        file = tmp_path / f"{name}.json"
        ended = jobs.run([PROGRAMS / name, *options, "--json", file])
        assert ended.returncode == 0, ended.stdout
        assert compare.main([str(file), str(file)]) == 0
        assert ": 0 faster, 0 slower, " in capsys.readouterr().out
    both = [str(tmp_path / f"{name}.json") for name in commands]
    assert compare.main(both) == 2
    assert "A is of hlq_perf, B of hlq_kernels" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"tool": "other"}', '{"tool": "hlq_perf"}']
    + [json.dumps(perf(row)) for row in (("auto", 4.0, None, 1, 1), ("auto", 4.0, 0, 0, 0))]
    + [json.dumps(perf())],
)
def test_bad_files_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text)
    assert compare.main([str(file), str(file)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"compare.py: {file} ") and said.count("\n") == 1


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert compare.main(["none.json", "none.json"]) == 2
    assert capsys.readouterr().err == "compare.py: none.json: No such file or directory\n"
