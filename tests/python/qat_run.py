"""Runs an example of quantization-aware training as a user does."""

import json
import sys
from pathlib import Path

import jobs


def run(example: str, folder: Path, *options: object) -> tuple[dict, str]:
    """Runs an example; what it wrote as JSON, and what it printed."""
    file = folder / "result.json"
    ended = jobs.run([sys.executable, jobs.EXAMPLES / example, *options, "--json", file])
    assert ended.returncode == 0, ended.stdout[-4000:]
    result = json.loads(file.read_text())
    assert [(code["lattice"], code["q"], code["M"]) for code in result["codes"]] == [
        ("D4", 4, 2),
        ("D4", 4, 1),
    ]
    for code in result["codes"]:
        assert len(code["qat"]) == len(code["post_training"]) == len(result["float"])
    return result, ended.stdout


def mean_difference(values: list[float], others: list[float]) -> float:
    return sum(a - b for a, b in zip(values, others, strict=True)) / len(values)
