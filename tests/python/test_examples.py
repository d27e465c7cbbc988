"""The training examples, run as a user runs them: 4 bits reach what fp32 reaches."""

import json
import runpy
import sys
from pathlib import Path

import jobs
import pytest
from examples_run import train


def test_digits_reach_the_accuracy_of_fp32(tmp_path: Path) -> None:
    program = jobs.mpirun(2, jobs.EXAMPLES / "train_digits.py")
    fp32 = train(program, tmp_path, comm="fp32", steps=150)
    hlq = train(program, tmp_path, comm="hook", bits=4, steps=150)
    assert fp32["accuracy"] > 0.95
    # 360 images, of which about 3 % are missed: one standard deviation is 0.9 %. Two are allowed.
    assert hlq["accuracy"] > fp32["accuracy"] - 0.018
    assert hlq["ranks"] == fp32["ranks"] == 2
    # 4 bits instead of 32, and small buckets uncompressed.
    assert hlq["bytes_sent_per_rank"] < fp32["bytes_sent_per_rank"] / 7


def test_torchrun_and_mpirun_train_alike_over_the_backend(tmp_path: Path) -> None:
    results, steps = {}, 10
    for launcher in ("torchrun.sh", "mpirun.sh"):
        folder = tmp_path / launcher
        folder.mkdir()
        program = [jobs.ROOT / "launch" / launcher, "-n", 2, jobs.EXAMPLES / "train_bytes.py"]
        results[launcher] = train(program, folder, comm="hlq", steps=steps)
        del results[launcher]["seconds"]
    ran, other = results.values()
    assert ran == other, "losses, to the bit, and bytes"
    elements = 669_056
    # 4 bits of 2 (n-1)/n numbers in each step, and comparing the arguments.
    assert 0 < ran["bytes_sent_per_rank"] < steps * elements * 4 / 8 * 1.01


def test_steps_are_logged(tmp_path: Path) -> None:
    log = tmp_path / "steps.jsonl"
    program = jobs.mpirun(2, jobs.EXAMPLES / "train_digits.py")
    result = train([*program, "--log", log], tmp_path, comm="hook", steps=6, points=6)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [{key: line[key] for key in ("step", "loss", "bytes")} for line in lines] == [
        pytest.approx(point) for point in result["curve"]
    ], "which averages over ranks step by step"
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds) and seconds[0] > 0 and seconds[-1] <= result["seconds"]


def test_examples_run_alone(tmp_path: Path) -> None:
    program = [sys.executable, jobs.EXAMPLES / "train_digits.py"]
    result = train(program, tmp_path, comm="hook", steps=10)
    assert result["ranks"] == 1 and result["bytes_sent_per_rank"] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--bits", "many"], "argument --bits: invalid float value: 'many'"),
        (["--algorithm", "none"], "argument --algorithm: invalid choice: 'none'"),
        (["--steps", "0"], "argument --steps: must be at least 1"),
        (["--log", "/nowhere/at/all"], "folder of /nowhere/at/all does not exist"),
        (["--json", "/nowhere/at/all.json"], "folder of /nowhere/at/all.json does not exist"),
    ],
)
def test_bad_options_get_a_sentence(
    options: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(str(jobs.EXAMPLES))
    monkeypatch.setattr(sys, "argv", ["train_digits.py", *options])
    with pytest.raises(SystemExit) as end:  # before anything starts that another run would feel
        runpy.run_path(str(jobs.EXAMPLES / "train_digits.py"), run_name="__main__")
    assert end.value.code == 2 and capsys.readouterr().err.count(words) == 1


def test_bad_bits_get_one_sentence_for_all_ranks() -> None:
    program = jobs.mpirun(2, jobs.EXAMPLES / "train_digits.py", "--bits", "99")
    ended = jobs.run(program)
    assert ended.returncode != 0
    said = [line for line in ended.stdout.splitlines() if "options.bits is not in" in line]
    assert len(said) == 1 and "Traceback" not in ended.stdout, ended.stdout


def test_a_rank_that_dies_ends_the_job() -> None:
    program = """
import torch
from hlqtorch import Comm
comm = Comm.mpi()
x = torch.ones(1000)
comm.all_reduce(x, x)
assert comm.rank != 1, "rank 1 gives up"
comm.all_reduce(x, x)
"""
    # Rank 0 would wait 300 s for rank 1; the time limit of run() is below that.
    ended = jobs.run(jobs.mpirun(2, "-c", program), timeout=60)
    assert ended.returncode != 0
    assert "rank 1 gives up" in ended.stdout
