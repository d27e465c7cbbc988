"""Runs a training example as a user does."""

import json
from pathlib import Path

import jobs

KEYS = {
    "comm",
    "bits",
    "ranks",
    "steps",
    "loss",
    "accuracy",
    "bytes_sent_per_rank",
    "seconds",
    "curve",
}


def train(command: list[object], folder: Path, **options: object) -> dict:
    """Runs an example; what it wrote as JSON, once its shape has been checked."""
    file = folder / "result.json"
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    ended = jobs.run([*command, *words, "--json", file])
    assert ended.returncode == 0, ended.stdout[-4000:]
    result = json.loads(file.read_text())
    assert result.keys() == KEYS
    assert result["steps"] == options["steps"] == result["curve"][-1]["step"]
    assert result["bytes_sent_per_rank"] == result["curve"][-1]["bytes"]
    assert 0 <= result["accuracy"] <= 1 and result["loss"] > 0
    assert f"accuracy {result['accuracy']:.4f}" in ended.stdout
    return result
