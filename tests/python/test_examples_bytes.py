"""The transformer on bytes: with 4 bits it learns as with fp32."""

from pathlib import Path

import jobs
from examples_run import train


def test_bytes_learn_as_with_fp32(tmp_path: Path) -> None:
    program = jobs.torchrun(2, jobs.EXAMPLES / "train_bytes.py")
    fp32 = train(program, tmp_path, comm="fp32", steps=40)
    hlq = train(program, tmp_path, comm="hook", algorithm="twoshot", steps=40, points=20)
    assert len(fp32["curve"]) == 10 and len(hlq["curve"]) == 20
    assert hlq["bytes_sent_per_rank"] < fp32["bytes_sent_per_rank"] / 7
    # Random bytes have a loss of ln 256 = 5.5; this far along, fp32 is near 2.7 and runs with other
    # seeds lie within 0.1 of it.
    assert fp32["loss"] < 3.2
    assert abs(hlq["loss"] - fp32["loss"]) < 0.1
