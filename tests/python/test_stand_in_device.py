"""CUDA tensors without CUDA: backend hlq and the operators on the device of stand_in_device.cpp.

Jobs have processes of their own, for the device stays.
"""

import os
import subprocess
import sys
from pathlib import Path

import jobs
import pytest
import torch
from torch.utils import cpp_extension

HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(
    torch.backends.cuda.is_built(), reason="this torch has CUDA devices itself"
)


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("device") / "stand_in_device.so"
    flags = ["-std=c++20", "-fPIC", "-shared", *(f"-I{p}" for p in cpp_extension.include_paths())]
    command = [os.environ.get("CXX", "c++"), *flags, HERE / "stand_in_device.cpp", "-o", library]
    folder = Path(torch.__file__).parent / "lib"
    subprocess.run([*command, f"-L{folder}", "-lc10", "-ltorch_cpu"], check=True)
    return library


def test_backend_puts_collectives_onto_streams(
    device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_DEVICE", str(device))
    job = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ended = jobs.run([*job, HERE / "stand_in_backend_job.py"], timeout=300)
    assert ended.returncode == 0, ended.stdout


def test_operators_work_where_their_tensors_are(device: Path) -> None:
    job = [sys.executable, HERE / "stand_in_operators_job.py", device.parent]
    ended = jobs.run(job, timeout=300)
    assert ended.returncode == 0, ended.stdout
