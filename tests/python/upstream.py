"""PyTorch's own tests of torch.distributed (distributed_test), run on backend hlq.

    python upstream.py --ranks 3                      all of them, on hlq
    python upstream.py --ranks 3 --backend gloo       the same, on gloo, to compare with
    python upstream.py --ranks 3 test_broadcast ...   some

Prints a line per test; --json FILE writes {test: "passed", "skipped: why" or "failed: …"}.

Upstream decides by the name of the backend which tests it is asked to pass. Backend hlq is asked
for all that gloo is asked for: the decorators are evaluated with BACKEND=gloo, and the groups are
then made with hlq. What has to be done for that, and what hlq cannot do, is listed below.

Children come from a fork server that has torch loaded: starting a rank takes milliseconds, not the
seconds that importing torch takes.
"""

import argparse
import datetime
import json
import os
import sys
import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path

# Read by distributed_test when it is imported, here and in the children.
os.environ["BACKEND"] = "gloo"
os.environ.setdefault("WORLD_SIZE", "2")
os.environ.setdefault("HLQ_UPSTREAM_BACKEND", "hlq")
os.environ.setdefault("TEMP_DIR", tempfile.gettempdir())
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # with fewer GPUs than ranks, every test skips itself
# Where the fork server looks for this module; it ignores sys.path, and modules it does not find.
os.environ["PYTHONPATH"] = f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"

import hlqtorch  # noqa: F401
import torch
import torch.distributed as dist
from torch.distributed import distributed_c10d
from torch.testing._internal import common_distributed
from torch.testing._internal.distributed import distributed_test

distributed_test.BACKEND = os.environ["HLQ_UPSTREAM_BACKEND"]
for _feature in ("ddp", "subgroup"):
    common_distributed.DistTestCases.backend_feature[_feature].add("hlq")

#: Tests that choose between a model on the host and one on a GPU by the name of the backend, and
#: know three names. The group is one of hlq all the same.
CHOOSE_MODEL_BY_NAME = "test_accumulate_gradients_no_sync"

#: Tests that fail on hlq and pass on gloo, and why.
DIFFERENCES = {
    "test_ddp_logging_data_cpu": "torch logs every backend from outside as 'custom'",
}


def _monitored_barrier(
    group: dist.ProcessGroup | None = dist.group.WORLD,
    timeout: datetime.timedelta | float | None = None,
    wait_all_ranks: bool = False,
) -> None:
    """dist.monitored_barrier without its first line, which refuses every name but gloo."""
    if distributed_c10d._rank_not_in_group(group):
        return
    if isinstance(timeout, float):
        timeout = datetime.timedelta(seconds=timeout)
    group = group if group is not None else dist.group.WORLD
    group.monitored_barrier(timeout or distributed_c10d.default_pg_timeout, wait_all_ranks)


def _child(
    environment: dict[str, str], target: Callable, *arguments: object, **named: object
) -> None:
    """Runs a rank with the parent's environment of now, not of when the fork server started."""
    os.environ.update(environment)
    target(*arguments, **named)


class TestUpstream(
    distributed_test.TestDistBackend, distributed_test.DistributedTest._DistTestBase
):
    """All upstream tests; each starts ranks of its own."""

    def setUp(self) -> None:
        super().setUp()
        self._spawn_processes()

    def _spawn_processes(self) -> None:
        context = torch.multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["upstream"])

        def process(target: Callable, args: tuple, **named: object) -> object:
            return context.Process(target=_child, args=(dict(os.environ), target, *args), **named)

        self._start_processes(process)

    def run_test(self, test_name: str, parent_pipe: object) -> None:
        """On a rank, in the group that _run() made."""
        if distributed_test.BACKEND == "hlq":
            dist.monitored_barrier = _monitored_barrier
            if test_name.startswith(CHOOSE_MODEL_BY_NAME):
                distributed_test.BACKEND = "gloo"
        super().run_test(test_name, parent_pipe)


class _Outcomes(unittest.TestResult):
    """Prints and keeps what came of each test."""

    def __init__(self) -> None:
        super().__init__()
        self.by_name: dict[str, str] = {}

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._start = time.perf_counter()

    def _note(self, test: unittest.TestCase, outcome: str) -> None:
        name = test.id().rpartition(".")[2]
        self.by_name[name] = outcome
        seconds = time.perf_counter() - self._start
        print(f"{name} {seconds:.1f} s {outcome.partition(chr(10))[0]}", flush=True)

    def addSuccess(self, test: unittest.TestCase) -> None:
        self._note(test, "passed")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self._note(test, f"skipped: {reason}")

    def addFailure(self, test: unittest.TestCase, error: tuple) -> None:
        self._note(test, "failed: " + self._exc_info_to_string(error, test))

    addError = addFailure


def run(names: list[str]) -> dict[str, str]:
    """Outcomes of the tests with these names, of all without names."""
    import upstream  # not __main__: children find the class by the name of its module

    loader = unittest.TestLoader()
    known = loader.getTestCaseNames(upstream.TestUpstream)
    unknown = sorted(set(names) - set(known))
    if unknown:
        sys.exit(f"upstream has no {', '.join(unknown)}")
    outcomes = _Outcomes()
    unittest.TestSuite(upstream.TestUpstream(name) for name in names or known).run(outcomes)
    return outcomes.by_name


def main() -> None:
    """Command line: see the head of this file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--backend", default="hlq")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("names", nargs="*", metavar="TEST")
    options = parser.parse_args()
    os.environ["WORLD_SIZE"] = str(options.ranks)
    os.environ["HLQ_UPSTREAM_BACKEND"] = options.backend
    outcomes = run(options.names)
    if options.json:
        options.json.write_text(json.dumps(outcomes, indent=1) + "\n")
    failed = [name for name, outcome in outcomes.items() if outcome.startswith("failed")]
    passed = sum(outcome == "passed" for outcome in outcomes.values())
    print(f"{passed} passed, {len(failed)} failed, {len(outcomes) - passed - len(failed)} skipped")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
