"""bench/gpu_report.py: a run of launch/gpu-check as a page, also of a run that was cut short."""

import json
import os
import sys
from pathlib import Path

import jobs

sys.path.append(str(jobs.ROOT / "bench"))
import gpu_report

TESTS = """<testsuite tests="2">
<testcase name="test_cuda_wire_gpu" time="12.345" status="run"/>
<testcase name="test_nccl_mpi_gpu" time="0.1" status="notrun"><skipped/></testcase>
</testsuite>"""


def row(step: str, seconds: float, ranks: int = 1, error: float | None = None) -> dict:
    figures = {"gbps": 0.268 / seconds, "copy_gbps": 1300.0, "ratio": 0.25, "spread": 0.013}
    return {"step": step, "ranks": ranks, "seconds": seconds, "error": error} | figures


def of_hlq_gpu(dtype: str, **facts: object) -> str:
    rows = [row("exponents", 1e-4), row("encode", 3e-4), row("write", 8e-4)]
    rows += [row("decode", 2e-4, error=8.7e-3), row("all_reduce", 2.5e-3, ranks=8)]
    gain = {"ranks": 8, "seconds": 2.5e-3, "sent_bytes": 58.7e6, "bf16_bytes": 235e6}
    gain |= {"even_gbits": 564.0, "links": {"10 Gb/s": 3.8, "900 GB/s": 0.102}}
    found = {"tool": "hlq_gpu", "dtype": dtype, "lattice": "E8", "bits": 4, "bytes": 256 << 20}
    return json.dumps(found | {"calls": 20, "rows": rows, "gains": [gain], "passed": True} | facts)


def make_run(folder: Path, **files: str) -> Path:
    run = folder / "run"
    run.mkdir()
    (run / "steps.tsv").write_text("tests\tpassed\t14\t1 passed\nmemcheck\tskipped\t1\tno | tool\n")
    for name, text in files.items():
        stem, _, ending = name.rpartition("_")
        (run / f"{stem}.{ending}").write_text(text)
    return run


def page_of(run: Path, output: Path) -> str:
    assert gpu_report.main([str(run), "--output", str(output)]) == 0
    return (output / "summary.md").read_text()


def test_a_whole_run_is_told(tmp_path: Path) -> None:
    run = make_run(
        tmp_path,
        facts_tsv="date\t2026-01-02\nGPU\tNVIDIA H100\ncommit\t\n",
        tests_xml=TESTS,
        hlq_gpu_float32_json=of_hlq_gpu("float32"),
        hlq_gpu_bfloat16_json=of_hlq_gpu("bfloat16", passed=False),
    )
    output = tmp_path / "nvidia-h100"
    page = page_of(run, output)
    lines = page.splitlines()
    assert lines[0] == "# NVIDIA H100" and "| commit | unknown |" in lines
    assert "| memcheck | skipped | 1 | no / tool |" in lines
    assert "| test_cuda_wire_gpu | passed | 12.3 |" in lines
    assert "| test_nccl_mpi_gpu | skipped | 0.1 |" in lines
    assert "| decode | 200 | 1340 | 0.250 | 1.3 % | 8.7e-03 |" in lines
    assert "| all_reduce 8 | 2500 | 107 | 0.250 | 1.3 % | – |" in lines
    assert page.count("Of write, 50 % are neither") == 2
    assert page.count("Something is wrong") == 1
    assert page.index("## float32") < page.index("## bfloat16")
    assert "| float32 | 8 | 2.5 | 58.7 | 235 | 3.80 | 0.10 | 564 Gb/s |" in lines
    assert sorted(os.listdir(output)) == [
        "hlq_gpu_bfloat16.json",
        "hlq_gpu_float32.json",
        "summary.md",
    ]


def test_a_run_that_was_cut_short_is_told_as_far_as_it_came(tmp_path: Path) -> None:
    run = make_run(tmp_path, tests_xml=TESTS[:40], hlq_gpu_float32_json='{"tool": "hlq_gpu", ')
    page = page_of(run, tmp_path / "out")
    assert page.startswith("# A GPU\n") and page.endswith("\nhlq_gpu measured nothing.\n")
    assert "test_cuda" not in page and os.listdir(tmp_path / "out") == ["summary.md"]


def test_what_an_earlier_run_left_goes(tmp_path: Path) -> None:
    run, output = make_run(tmp_path), tmp_path / "out"
    output.mkdir()
    (output / "hlq_gpu_float16.json").write_text("{}")
    page_of(run, output)
    assert os.listdir(output) == ["summary.md"]


def test_a_folder_of_no_run_is_refused(tmp_path: Path) -> None:
    assert gpu_report.main([str(tmp_path), "--output", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()


def test_without_a_gpu_the_check_says_so(tmp_path: Path) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho No devices were found\nexit 6\n")
    smi.chmod(0o755)
    ended = jobs.run(
        ["env", f"PATH={tmp_path}:{os.environ['PATH']}", "launch/gpu-check"], jobs.ROOT
    )
    assert ended.returncode == 77
    assert ended.stdout == "there is no GPU here (nvidia-smi: No devices were found)\n"
