"""Error feedback saved at 4 ranks goes on at 2 and at 3; a killed rank is named by the others."""

import json
import subprocess
import sys
import time
from pathlib import Path

import jobs
import pytest

HERE = Path(__file__).parent
STEPS = 12


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_training_goes_on_at_other_numbers_of_ranks(kind: str, tmp_path: Path) -> None:
    command = [sys.executable, "checkpoint_job.py", tmp_path, kind, STEPS, 4, 2, 3]
    ended = jobs.run(command, cwd=HERE, timeout=240)
    assert ended.returncode == 0, ended.stdout[-4000:]
    written = {ranks: json.loads((tmp_path / f"{ranks}.json").read_text()) for ranks in (4, 2, 3)}
    whole = written.pop(4)["losses"]
    assert len(whole) == 2 * STEPS
    for ranks, resumed in written.items():
        # Sums of 4 residuals and of the shares that ranks send: a few roundings of 2^-24 each.
        assert resumed["lost"] < 1e-6, (ranks, resumed["lost"])
        first, last = whole[STEPS - 1], whole[-1]
        for ours, uninterrupted in zip(resumed["losses"], whole[STEPS:], strict=True):
            # Codes of other numbers of ranks differ, by less than what is learned meanwhile.
            assert abs(ours - uninterrupted) < 0.2 * (first - last), (ranks, ours, uninterrupted)


def start_killed(folder: Path, kind: str, how: str, ranks: int) -> list[subprocess.Popen]:
    """Starts killed_job.py on so many ranks; a process each, or mpirun, which lets others live."""
    program = [HERE / "killed_job.py", folder, kind]
    if how == "mpi":
        command = jobs.mpirun(ranks, *program)
        commands = [[command[0], "--enable-recovery", *command[1:]]]
    else:
        commands = [[sys.executable, *program, "--rank", p, "--ranks", ranks] for p in range(ranks)]
    return [
        subprocess.Popen(
            [str(word) for word in command],
            env=jobs.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for command in commands
    ]


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
@pytest.mark.parametrize("how", ["gloo", "mpi"])
def test_survivors_name_the_rank_that_was_killed(how: str, kind: str, tmp_path: Path) -> None:
    ranks = 3
    running = start_killed(tmp_path, kind, how, ranks)
    end = time.monotonic() + 120
    said = []
    for process in running:
        try:
            said.append(process.communicate(timeout=max(1, end - time.monotonic()))[0])
        except subprocess.TimeoutExpired:
            process.kill()
            said.append(f"had to be killed:\n{process.communicate()[0]}")
    texts = {p: tmp_path / f"rank{p}.txt" for p in range(ranks)}
    assert not texts[1].exists()
    for rank in (0, 2):
        assert texts[rank].exists(), "\n".join(said)
        text = texts[rank].read_text()
        assert text.startswith("step 3: HLQ_E_") and "rank 1" in text, text
