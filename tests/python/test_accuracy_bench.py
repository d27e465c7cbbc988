"""bench/accuracy.py: the rivals that it simulates, and a small run from end to end."""

import json
import os
import shlex
import stat
import sys
from itertools import pairwise
from pathlib import Path

import jobs
import numpy as np
import pytest
from numpy.typing import NDArray

sys.path.append(str(jobs.ROOT / "bench"))
import accuracy
import dynamiq
import rivals

Floats = NDArray[np.float32]
PERF = Path(os.environ.get("HLQ_PERF", jobs.ROOT / "build/bin/hlq_perf"))


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def normal(*shape: int) -> Floats:
    return rng().standard_normal(shape, np.float32)


def vnmse(result: NDArray[np.floating], exact: NDArray[np.floating]) -> float:
    return float(np.square(result - exact, dtype=np.float64).sum() / np.square(exact).sum())


# Formats ------------------------------------------------------------------------------------------


def test_mxfp4_keeps_what_it_can_represent() -> None:
    positive = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    row = np.array([*positive, *(-x for x in positive)] * 2, np.float32)
    for exponent in (-100, -3, 0, 17, 100):
        x = np.ldexp(row, exponent)
        assert np.array_equal(rivals.mxfp4(x), x)


def test_mxfp4_rounds_to_even_and_saturates() -> None:
    x = np.zeros(32, np.float32)
    x[:9] = [7.9, 5, 3.5, 2.5, 1.75, 1.25, 0.75, 0.25, -5.1]
    assert rivals.mxfp4(x)[:9].tolist() == [6, 4, 4, 2, 2, 1, 1, 0, -6]


def test_uint8_is_off_by_half_a_step() -> None:
    x = normal(10_001)
    step = (x.max() - x.min()) / 255
    error = np.abs(rivals.uint8(x) - x)
    inner = (x > x.min() + step) & (x < x.max() - step)  # the zero point moves the ends
    assert error[inner].max() <= step * 0.501 and error.max() <= step * 1.001
    x = np.array([3, 4, 5], np.float32)
    assert np.abs(rivals.uint8(x) - x).max() <= 5 / 255 / 2 * 1.001


def test_qsgd_is_unbiased_and_better_with_more_bits() -> None:
    x, generator = normal(512), rng()
    errors = [vnmse(rivals.qsgd(x, generator, bits), x) for bits in range(2, 9)]
    assert all(more < 0.5 * less for less, more in pairwise(errors))
    mean = np.mean([rivals.qsgd(x, generator) for _ in range(400)], axis=0)
    assert vnmse(mean, x) < 2 * vnmse(rivals.qsgd(x, generator), x) / 400


@pytest.mark.parametrize("rival", rivals.RIVALS, ids=lambda rival: rival.name)
def test_formats_keep_zero_and_any_length(rival: rivals.Rival) -> None:
    for length in (1, 31, 515):
        assert not rival.codec(np.zeros(length, np.float32), rng()).any()
        x = normal(length)
        y = rival.codec(x, rng())
        assert y.shape == x.shape and y.dtype == np.float32
        assert np.abs(y - x).max() <= np.abs(x).max() / 3


def test_two_shot_adds() -> None:
    x = normal(8, 1000)
    assert np.allclose(rivals.two_shot(x, lambda row, _: row, rng()), x.sum(0), atol=1e-5)


# DynamiQ ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranks", [1, 2, 3, 5, 8])
def test_the_tree_adds_every_rank_once(ranks: int) -> None:
    x, draws = normal(ranks, 4, 256), []

    def exact(sums: Floats, uniforms: Floats) -> Floats:
        draws.append(float(uniforms[0, 0]))
        return sums

    ranks_of = np.broadcast_to(np.arange(ranks, dtype=np.float32)[:, None, None], x.shape)
    assert np.allclose(dynamiq.tree_sum(x, ranks_of, exact), x.sum(0), atol=1e-5)
    assert sorted(draws) == list(range(ranks))


def test_uniforms_of_a_number_are_of_different_strata() -> None:
    u = dynamiq.stratified_uniforms((8, 600, 256), rng())
    assert u.min() >= 0 and u.max() < 1
    assert np.array_equal(np.sort(np.floor(u * 8), 0)[:, 0, 0], np.arange(8))
    assert (np.sort(np.floor(u * 8), 0) == np.arange(8)[:, None, None]).mean() > 0.9999


@pytest.mark.parametrize("width", dynamiq.WIDTHS)
def test_levels_are_unbiased_and_kept(width: int) -> None:
    levels = dynamiq.Levels(width, 0.2)
    assert len(np.unique(levels.values[1:-1])) == 2**width + 1
    x, generator = normal(1, 256), rng()
    many = np.repeat(x, 2000, 0)
    y = levels(many, generator.random(many.shape, np.float32))
    assert vnmse(y.mean(0), x[0]) < 2 * vnmse(y[0], x[0]) / 2000


def test_dynamiq_spends_its_bits_and_errs_less_with_more() -> None:
    x = dynamiq.lognormal_gradients(8, 100_000, 0.0, rng())
    simulation, exact, errors = dynamiq.DynamiQ(x, rng()), x.sum(0, dtype=np.float64), []
    for bits in (3.5, 4, 5, 6):
        result, spent = simulation.sum(bits, dynamiq.SPACINGS[1])
        assert bits - 0.03 < spent <= bits
        errors.append(vnmse(result, exact))
    assert errors == sorted(errors, reverse=True)
    assert 1e-3 < errors[1] < 1e-2 and 2e-4 < errors[2] < 2e-3  # 3.5e-3 and 6.2e-4 of a million
    with pytest.raises(ValueError, match=r"needs 3\.02 bits"):
        simulation.sum(3.0, dynamiq.SPACINGS[0])


# accuracy.py --------------------------------------------------------------------------------------


def program(folder: Path, edit: str) -> Path:
    """hlq_perf, whose JSON a line of Python edits: `text`, on the way out."""
    path, edited = folder / "hlq_perf", folder / "edited.py"
    edited.write_text(
        "import subprocess, sys\n"
        f"code = subprocess.run([{str(PERF)!r}, *sys.argv[1:]]).returncode\n"
        "file = sys.argv[sys.argv.index('--json') + 1]\n"
        f"text = open(file).read()\n{edit}\nopen(file, 'w').write(text)\nsys.exit(code)\n"
    )
    # In the first line of a script, no path may have spaces.
    command = shlex.join([sys.executable, str(edited)])
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


needs_perf = pytest.mark.skipif(not PERF.exists(), reason="hlq_perf is not built")


@needs_perf
def test_a_small_run(tmp_path: Path) -> None:
    own, plot, file = (tmp_path / name for name in ("own.npy", "plot.png", "points.json"))
    np.save(own, normal(2, 20_000))
    np.save(tmp_path / "digits_step7.npy", normal(3, 20_000))
    names = ["dynamiq-lognormal", str(own), "digits_step7", "digits_step7_first16384"]
    options = ["--data", ",".join(names), "--gradients", tmp_path]
    options += [
        "--numbers",
        20_000,
        "--bits",
        "4,5",
        "--ranks",
        "2,4",
        "--perf",
        PERF,
        "--json",
        file,
        "--plot",
        plot,
    ]
    ended = jobs.run([sys.executable, jobs.ROOT / "bench/accuracy.py", *options])
    assert ended.returncode == 0, ended.stdout
    assert "](plot.png)" in ended.stdout and plot.read_bytes().startswith(b"\x89PNG")
    content = json.loads(file.read_text())
    points = {(p["data"], p["name"], p["asked"]): p for p in content["points"]}
    for data in ("dynamiq-lognormal", "own", "digits_step7", "digits_step7_first16384"):
        assert points[data, "fp8", None]["numbers"] == (16384 if "first" in data else 20_000)
        for name in ("twoshot", "modq", "oneshot", "DynamiQ"):
            assert points[data, name, 5]["vnmse"] < points[data, name, 4]["vnmse"]
        # Terms and verdicts come on top of 4 bits: 0.15 and more for tensors as small as these.
        assert points[data, "DynamiQ", 4]["bits"] <= points[data, "twoshot", 4]["bits"] < 4.3
        assert points[data, "fp32", None]["vnmse"] < 1e-12 < points[data, "int4", None]["vnmse"]
    swept = {(p["data"], p["ranks"]) for p in content["sweep"]}
    assert swept == {("dynamiq-lognormal", 2), ("dynamiq-lognormal", 4)}


def fails(capsys: pytest.CaptureFixture[str], *options: object) -> str:
    """What accuracy.py says when it ends with exit code 1."""
    assert accuracy.main([str(word) for word in ("--data", "gauss", *options)]) == 1
    return capsys.readouterr().err


@needs_perf
@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        ("text = text.replace('\"same\": true', '\"same\": false')", "do not hold the same bits"),
        ("code = 3", "hlq_perf failed, exit code 3"),
    ],
    ids=["ranks differ", "failed run"],
)
def test_what_goes_wrong_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], edit: str, sentence: str
) -> None:
    options = ("--numbers", 20_000, "--bits", 4, "--ranks", 2)
    assert sentence in fails(capsys, *options, "--perf", program(tmp_path, edit))


def test_a_missing_program_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = fails(capsys, "--numbers", 300, "--perf", tmp_path / "none")
    assert "none: No such file" in said and "launch/env builds it" in said


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--data", "gaus"), "there is no data set gaus; there are gauss"),
        (("--data", "none.npy"), "there is no file none.npy"),
        (("--ranks", "1"), "from 2 to 1024"),
        (("--bits", "four"), "not a list such as"),
        (("--json", "no/folder/x.json"), "there is no folder"),
    ],
)
def test_command_lines_of_no_use_are_refused(
    capsys: pytest.CaptureFixture[str], options: tuple[str, str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as end:
        accuracy.main([*options])
    assert end.value.code == 2 and sentence in capsys.readouterr().err
