"""Operators on CUDA tensors, by a device and a library that stand in for CUDA's."""

import sys
from pathlib import Path

import jobs
import pytest
import torch


@pytest.mark.skipif(torch.backends.cuda.is_built(), reason="this torch has CUDA devices itself")
def test_operators_work_where_their_tensors_are(tmp_path: Path) -> None:
    job = Path(__file__).with_name("fake_cuda_job.py")
    ended = jobs.run([sys.executable, job, tmp_path], timeout=500)
    assert ended.returncode == 0, ended.stdout
