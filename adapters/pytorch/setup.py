"""Builds hlqtorch._C against the installed torch and a built libhlqcomm.

    pip install --no-build-isolation --no-deps ./adapters/pytorch

Environment:
    HLQ_BUILD_DIR    where libhlqcomm was built by CMake; default: build/ of this repository
    HLQ_INCLUDE_DIR  where hlqcomm/hlqcomm.h is; default: libhlqcomm/include of this repository

The package gets its own copies of libhlqcomm's libraries and finds them beside itself,
so the build tree may go away afterwards. MPI's library stays where CMake found it. Scratch files go
to HLQ_BUILD_DIR/python, the source tree stays clean.
"""

import os
import re
import shutil
import sys
from pathlib import Path

import torch
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = Path(os.environ.get("HLQ_BUILD_DIR") or ROOT / "build").resolve()
INCLUDE = Path(os.environ.get("HLQ_INCLUDE_DIR") or ROOT / "libhlqcomm" / "include").resolve()
LIBRARIES = BUILD / "lib"
SCRATCH = BUILD / "python"


def library(name: str) -> Path | None:
    """The file that programs linked to lib<name>.so load at run time, or None if not built."""
    link = LIBRARIES / f"lib{name}.so"
    if not link.exists():
        return None
    return LIBRARIES / link.readlink() if link.is_symlink() else link


def cmake_answers() -> dict[str, str]:
    """What CMake found when it configured libhlqcomm: cache variables by name."""
    cache = BUILD / "CMakeCache.txt"
    if not cache.exists():
        return {}
    found = re.findall(r"^([^#/:\n]+):[A-Z]+=(.*)$", cache.read_text(), re.MULTILINE)
    return dict(found)


def mpi_paths() -> tuple[list[str], list[str]]:
    """(include folders, library files) of the MPI that libhlqcomm_mpi was built with."""
    answers = cmake_answers()
    names = [name for name in answers.get("MPI_C_LIB_NAMES", "").split(";") if name]
    files = [answers[f"MPI_{name}_LIBRARY"] for name in names]
    folders = [answers.get("MPI_C_HEADER_DIR", "")]
    folders += answers.get("MPI_C_ADDITIONAL_INCLUDE_DIRS", "").split(";")
    return [folder for folder in folders if folder], files


def units() -> list[str]:
    """Files to compile, as many as cores: each includes several of the sources.

    The compiler reads torch's headers, which take it longer than any source, once for each.
    """
    sources = sorted(HERE.glob("csrc/*.cpp"))
    jobs = min(len(sources), int(os.environ.get("MAX_JOBS") or os.cpu_count() or 1))
    files = [SCRATCH / f"unit_{jobs}_{i}.cpp" for i in range(jobs)]
    for i, file in enumerate(files):
        text = "".join(f'#include "{source}"\n' for source in sources[i::jobs])
        if not file.exists() or file.read_text() != text:  # else it need not be compiled again
            file.write_text(text)
    return [str(file) for file in files]


def extension() -> CppExtension:
    """hlqtorch._C, with MPI where libhlqcomm has it."""
    macros = [
        ("HLQTORCH_TORCH_VERSION", f'"{torch.__version__}"'),
        ("HLQTORCH_SOVERSION", f'"{version().partition(".")[0]}"'),
    ]
    include, link = [str(INCLUDE)], ["-Wl,-rpath,$ORIGIN"]
    names = ["hlqcomm"]
    if library("hlqcomm_mpi"):
        names = ["hlqcomm_mpi", "hlqcomm"]
        macros.append(("HLQTORCH_WITH_MPI", "1"))
        mpi_include, mpi_files = mpi_paths()
        include += mpi_include
        link += mpi_files
        link += [f"-Wl,-rpath,{folder}" for folder in {str(Path(f).parent) for f in mpi_files}]
    return CppExtension(
        "hlqtorch._C",
        units(),
        depends=sorted(str(path) for path in HERE.glob("csrc/*.[ch]*")),
        include_dirs=include,
        define_macros=macros,
        libraries=names,
        library_dirs=[str(LIBRARIES)],
        extra_compile_args=["-O2", "-g0", "-Wall"],
        extra_link_args=link,
    )


class BuildWithLibraries(BuildExtension):
    """BuildExtension that puts libhlqcomm's libraries beside the module."""

    def run(self) -> None:
        """Build, then copy: afterwards everything of the package is in one folder."""
        super().run()
        target = HERE / "hlqtorch" if self.inplace else Path(self.build_lib) / "hlqtorch"
        for name in ("hlqcomm", "hlqcomm_mpi", "hlqcomm_nccl", "hlqcomm_cuda", "hlqcomm_mpi_cuda"):
            source = library(name)
            if source:
                shutil.copy(source, target / source.name)


def version() -> str:
    """libhlqcomm's; its public header is the one place that says it."""
    text = (INCLUDE / "hlqcomm" / "hlqcomm.h").read_text()
    return re.search(r'#define HLQ_VERSION_STRING "([^"]+)"', text)[1]


if not (INCLUDE / "hlqcomm" / "hlqcomm.h").exists():
    sys.exit(f"hlqtorch: {INCLUDE} has no hlqcomm/hlqcomm.h; set HLQ_INCLUDE_DIR")
if library("hlqcomm") is None:
    sys.exit(
        f"hlqtorch: {LIBRARIES} has no libhlqcomm.so; build libhlqcomm first "
        "(launch/env does) or set HLQ_BUILD_DIR"
    )

SCRATCH.mkdir(parents=True, exist_ok=True)
shutil.rmtree(SCRATCH / "lib", ignore_errors=True)
setup(
    version=version(),
    ext_modules=[extension()],
    cmdclass={"build_ext": BuildWithLibraries},
    options={
        "build": {"build_base": str(SCRATCH), "build_lib": str(SCRATCH / "lib")},
        "egg_info": {"egg_base": str(SCRATCH)},
    },
)
