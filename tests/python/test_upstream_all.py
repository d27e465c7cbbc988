"""All of PyTorch's own tests of torch.distributed, on hlq and on gloo: the same outcomes."""

from pathlib import Path

import pytest
import upstream
from test_upstream import NAMES, outcomes


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_hlq_does_what_gloo_does(tmp_path: Path, ranks: int) -> None:
    gloo = outcomes(tmp_path, ranks, "gloo", [])
    hlq = outcomes(tmp_path, ranks, "hlq", [])
    assert {name for name, text in gloo.items() if text == "passed"} == set(NAMES)
    different = {name: text for name, text in hlq.items() if text != gloo[name]}
    assert different.keys() == upstream.DIFFERENCES.keys(), "\n".join(different.values())
