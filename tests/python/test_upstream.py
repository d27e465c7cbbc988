"""PyTorch's own tests of torch.distributed on backend hlq: those that need no GPU, on 3 ranks."""

import json
import sys
from pathlib import Path

import jobs
import upstream

NAMES = (Path(__file__).parent / "upstream_cpu.txt").read_text().split()


def outcomes(folder: Path, ranks: int, backend: str, names: list[str]) -> dict[str, str]:
    """{test: "passed", "skipped: why" or "failed: …"} of one run of upstream.py."""
    file = folder / f"{backend}{ranks}.json"
    options = ["--ranks", ranks, "--backend", backend, "--json", file]
    program = [sys.executable, upstream.__file__, *options, *names]
    ended = jobs.run(program, cwd=folder, timeout=1800)
    assert file.exists(), ended.stdout[-4000:]
    return json.loads(file.read_text())


def test_hlq_passes_what_gloo_passes(tmp_path: Path) -> None:
    found = outcomes(tmp_path, 3, "hlq", NAMES)
    assert found.keys() == set(NAMES)
    failed = {name: text for name, text in found.items() if text != "passed"}
    assert failed.keys() == upstream.DIFFERENCES.keys(), "\n".join(failed.values())
