"""Every check of the checks_*.py, on ranks of MPI and of torch."""

import json
import sys
from pathlib import Path

import jobs
import pytest
from ranks import CHECKS

JOBS = {
    "mpi2": jobs.mpirun(2, "ranks.py"),
    "mpi4": jobs.mpirun(4, "ranks.py"),
    "gloo3": [sys.executable, "ranks.py", "--fork", 3],
}


@pytest.fixture(scope="session", params=JOBS)
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, str | None]]:
    """{rank: {check: null or what went wrong}} of one job."""
    folder = tmp_path_factory.mktemp(request.param)
    command = JOBS[request.param]
    ended = jobs.run([*command, folder], cwd=Path(__file__).parent, timeout=300)
    assert ended.returncode == 0, f"{' '.join(map(str, command))} failed:\n{ended.stdout[-4000:]}"
    files = sorted(folder.glob("rank*.json"))
    assert len(files) == int(request.param[-1]), "a rank wrote nothing"
    return {file.stem: json.loads(file.read_text()) for file in files}


@pytest.mark.parametrize("check", CHECKS)
def test_on_ranks(check: str, outcomes: dict[str, dict[str, str | None]]) -> None:
    wrong = {rank: done[check] for rank, done in outcomes.items() if done[check] is not None}
    assert not wrong, "\n".join(f"{rank}:\n{text}" for rank, text in wrong.items())
