"""The package without ranks: import, errors, stubs, and what launchers say."""

import ast
import copy
import os
import re
import shutil
import sys
from pathlib import Path

import hlqtorch
import jobs
import pytest
from hlqtorch import _C, errors
from hlqtorch.dist import backend, launcher
from hlqtorch.dist.comm_hooks import HLQState

PACKAGE = Path(hlqtorch.__file__).parent
LAUNCHERS = ("OMPI_", "PMI_", "MPI_", "TORCHELASTIC_", "RANK", "WORLD_SIZE", "LOCAL_", "MASTER_")


@pytest.fixture
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment in which no launcher has left anything."""
    for name in list(os.environ):
        if name.startswith(LAUNCHERS):
            monkeypatch.delenv(name)
    return monkeypatch


def import_copy(folder: Path, extension: bytes | None) -> str:
    """Output of importing a copy of the package with this file, or none, as its extension."""
    copy = folder / "hlqtorch"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("*.so*", "__pycache__"))
    if extension is not None:
        (copy / next(PACKAGE.glob("_C.*.so")).name).write_bytes(extension)
    ended = jobs.run([sys.executable, "-c", "import hlqtorch"], cwd=folder)
    assert ended.returncode == 1
    return ended.stdout.strip().splitlines()[-1]


def test_import_without_the_extension_says_how_to_build_it(tmp_path: Path) -> None:
    last = import_copy(tmp_path, None)
    assert last.startswith("ImportError: hlqtorch: the compiled extension is missing")
    assert "pip install --no-build-isolation" in last


def test_import_with_an_extension_that_does_not_load_says_why(tmp_path: Path) -> None:
    last = import_copy(tmp_path, b"not a library")
    assert last.startswith("ImportError: hlqtorch: the compiled extension does not load (")
    assert "pip install --no-build-isolation" in last


def test_every_status_has_its_exception() -> None:
    statuses = {name: value for name, value, _ in _C.status_list()}
    assert statuses.pop("HLQ_OK") == 0
    assert {cls.status_name: cls.status for cls in errors.CLASSES.values()} == statuses
    for value, cls in errors.CLASSES.items():
        error = errors.error_of(value, "a sentence")
        assert type(error) is cls is getattr(errors, cls.__name__)
        assert isinstance(error, hlqtorch.HLQError) and str(error) == "a sentence"
    assert issubclass(errors.CLASSES[statuses["HLQ_E_INVALID"]], ValueError)
    assert issubclass(errors.CLASSES[statuses["HLQ_E_TIMEOUT"]], TimeoutError)


def test_options_of_no_use_are_refused() -> None:
    with pytest.raises(TypeError, match="no option 'bit'; there is bits"):
        hlqtorch.Comm.mpi(bit=4.0)
    with pytest.raises(TypeError, match="option 'bits' cannot be 'four'"):
        hlqtorch.Comm.mpi(bits="four")


def test_states_need_a_process_group() -> None:
    with pytest.raises(RuntimeError, match="init_process_group"):
        HLQState()


def test_stub_lists_what_the_extension_has() -> None:
    def public(names: object) -> set[str]:
        return {name for name in names if not name.startswith("_")}

    nodes = ast.parse((PACKAGE / "_C.pyi").read_text()).body
    classes = {"Comm", "HLQOptions", "HLQBackend"}
    for node in nodes:
        if getattr(node, "name", "") in classes:
            methods = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
            assert public(methods) == public(vars(getattr(_C, node.name)))
    functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    assert functions | classes | {"built_for_torch"} == public(vars(_C))
    assert (PACKAGE / "py.typed").exists()


def doctor(**environment: str) -> tuple[int, str]:
    """Exit status and output of python -m hlqtorch.doctor."""
    settings = [f"{name}={value}" for name, value in environment.items()]
    ended = jobs.run(["env", *settings, sys.executable, "-m", "hlqtorch.doctor"])
    return ended.returncode, ended.stdout


def test_doctor_finds_what_is_there() -> None:
    status, said = doctor()
    assert status == 0 and "FAIL" not in said, said
    assert f"ok   hlqtorch       {hlqtorch.__version__}, in {PACKAGE}\n" in said
    assert "ok   backend hlq    works\n" in said
    assert f"ok   kernels        {_C.kernel_variant()}\n" in said
    assert "by default     backend hlq is HLQOptions(exact)\n" in said


def test_doctor_says_what_is_wrong_and_what_to_do() -> None:
    status, said = doctor(HLQ_KERNELS="abacus", HLQ_BITS="99", PATH="/nowhere")
    assert status == 1
    wrong = [line for line in said.splitlines() if line.startswith("FAIL")]
    assert [line.partition(";")[2] for line in wrong] == [
        " unset HLQ_KERNELS",
        " set it right or unset it",
    ]
    assert ("not in PATH; put the one of the MPI above there" in said) == bool(_C.mpi_library())


def test_options_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in backend.ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    assert str(backend.options_from_environment()) == "HLQOptions(exact)"
    monkeypatch.setenv("HLQ_MIN_BYTES", "10")
    assert str(backend.options_from_environment()) == "HLQOptions(exact)", "nobody opted in"
    monkeypatch.setenv("HLQ_BITS", "5.5")
    assert "bits=5.5, " in str(backend.options_from_environment())
    assert "min_bytes=10, " in str(backend.options_from_environment())
    monkeypatch.setenv("HLQ_BITS", "many")
    with pytest.raises(ValueError, match="HLQ_BITS=many is not a number"):
        backend.options_from_environment()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"bits": 13}, errors.CLASSES[10], "^options.bits is not in 1 … 12"),
        ({"bits": "four"}, TypeError, "option 'bits' cannot be 'four'"),
        ({"bit": 4}, TypeError, "there is no option 'bit'; there is bits, "),
        ({"lattice": "A2"}, errors.CLASSES[10], "lattice 'A2' does not exist; there is E8"),
        ({"topology": "star"}, errors.CLASSES[10], "there is auto, all_to_all, ring"),
        ({"dither": 2}, errors.CLASSES[10], "dither is neither 0 nor 1"),
        ({"dither": True, "algorithm": "modq"}, errors.CLASSES[12], "modq has no dither"),
        ({"transport": "pigeon"}, errors.CLASSES[10], "there is auto, mpi, process_group"),
        ({"target_nmse": 1e-3, "algorithm": "modq"}, errors.CLASSES[10], "no target mode"),
        ({"min_bytes": -1}, errors.CLASSES[10], "min_bytes is negative"),
        ({"timeout": -1.0}, errors.CLASSES[10], "timeout is negative"),
    ],
)
def test_options_of_the_backend_are_checked(
    options: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        hlqtorch.HLQOptions(**options)


def test_options_of_the_backend_are_copied() -> None:
    options = hlqtorch.HLQOptions(bits=3, seed=7)
    assert str(copy.deepcopy(options)) == str(copy.copy(options)) == str(options)


def test_version_is_the_library_s() -> None:
    header = jobs.ROOT / "libhlqcomm" / "include" / "hlqcomm" / "hlqcomm.h"
    (version,) = re.findall(r'#define HLQ_VERSION_STRING "(.*)"', header.read_text())
    assert hlqtorch.__version__ == version


def test_libraries_are_bundled() -> None:
    assert list(PACKAGE.glob("libhlqcomm.so*")), "the package depends on the build tree"


def test_nccl_is_missed_in_words() -> None:
    """Without a communicator of NCCL there is a sentence, whatever this machine has."""
    with pytest.raises(hlqtorch.HLQError, match="NCCL"):
        _C.Comm.nccl(0)
    with pytest.raises(TypeError, match="there is no option 'bit'"):
        _C.Comm.nccl(0, bit=4)
    has_library = bool(list(PACKAGE.glob("libhlqcomm_nccl.so*")))
    assert has_library or not _C.nccl_library()


def test_the_quantizer_of_cuda_tensors_loads_where_it_is_bundled() -> None:
    assert _C.quantizes_cuda() == bool(list(PACKAGE.glob("libhlqcomm_cuda.so*")))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ("none", 0, 1, 1)),
        (
            {
                "OMPI_COMM_WORLD_RANK": "3",
                "OMPI_COMM_WORLD_SIZE": "8",
                "OMPI_COMM_WORLD_LOCAL_SIZE": "4",
            },
            ("mpirun", 3, 8, 4),
        ),
        ({"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALNRANKS": "2"}, ("mpirun", 1, 2, 2)),
        ({"RANK": "1", "WORLD_SIZE": "6", "LOCAL_WORLD_SIZE": "2"}, ("torchrun", 1, 6, 2)),
        (
            {
                "OMPI_COMM_WORLD_RANK": "0",
                "OMPI_COMM_WORLD_SIZE": "1",
                "TORCHELASTIC_RUN_ID": "x",
                "RANK": "1",
                "WORLD_SIZE": "2",
                "LOCAL_WORLD_SIZE": "2",
            },
            ("torchrun", 1, 2, 2),
        ),
    ],
)
def test_place(
    no_launcher: pytest.MonkeyPatch, environment: dict[str, str], expected: tuple
) -> None:
    for name, value in environment.items():
        no_launcher.setenv(name, value)
    assert launcher.place() == expected


def test_ranks_on_several_machines_need_an_address(no_launcher: pytest.MonkeyPatch) -> None:
    no_launcher.setenv("OMPI_COMM_WORLD_RANK", "0")
    no_launcher.setenv("OMPI_COMM_WORLD_SIZE", "4")
    no_launcher.setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "2")
    with pytest.raises(RuntimeError, match="MASTER_ADDR"):
        launcher.init_process_group()


def test_jobs_meet_at_ports_of_their_own(no_launcher: pytest.MonkeyPatch) -> None:
    ports = set()
    for job in range(100):
        no_launcher.setenv("PMIX_NAMESPACE", f"prterun-host-{job}@1")
        ports.add(launcher._job_port())
    # 100 of 22000: two the same are expected in one of five such sets, three pairs never.
    assert len(ports) > 96
    assert all(1024 < port < 32768 for port in ports)
