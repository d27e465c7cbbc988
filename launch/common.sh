# shellcheck shell=bash
# What the scripts of this folder share; each sources it. Finds the repository from wherever the
# script was called, talks to the user, and sets the environment that programs here run in.
set -euo pipefail
unset CDPATH

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=$ROOT/.venv

if [ -t 1 ]; then
    bold=$(printf '\033[1m') red=$(printf '\033[31m') plain=$(printf '\033[0m')
else
    bold='' red='' plain=''
fi

# say SENTENCE: progress.
say() { printf '%s==> %s%s\n' "$bold" "$*" "$plain"; }

# die SENTENCE: what is wrong and what to do about it; ends the script.
die() {
    printf '%s%s: %s%s\n' "$red" "$(basename -- "$0")" "$*" "$plain" >&2
    exit 1
}

# quietly LOG COMMAND...: output goes to LOG, and to the user only if the command fails.
quietly() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null || {
        tail -n 40 "$log" >&2
        return 1
    }
}

# use_venv: programs installed by launch/env come first, and MPI runs as launch/mpi.env says.
use_venv() {
    export PATH="$VENV/bin:$PATH"
    set -a
    # shellcheck source=launch/mpi.env
    . "$ROOT/launch/mpi.env"
    set +a
}

# configure PRESET FOLDER [OPTION...]: runs CMake. Open MPI of .venv is named by path: its mpicc
# prints flags that CMake cannot split when the path has a space.
configure() {
    local preset=$1 folder=$ROOT/$2 options=()
    shift 2
    if [ -e "$VENV/include/mpi.h" ]; then
        options+=(
            -DMPI_SKIP_COMPILER_WRAPPER=ON
            -DMPI_C_LIB_NAMES=mpi
            "-DMPI_mpi_LIBRARY=$VENV/lib/libmpi.so.40"
            "-DMPI_C_HEADER_DIR=$VENV/include"
            "-DMPIEXEC_EXECUTABLE=$VENV/bin/mpirun"
            -DCMAKE_DISABLE_FIND_PACKAGE_PkgConfig=ON # where FindMPI would look, too
        )
    fi
    # For the GPU of this machine; without one, to see that it compiles.
    if nvidia-smi >/dev/null 2>&1; then
        options+=(-DHLQ_CUDA_ARCHITECTURES=native)
    else
        options+=(-DHLQ_CUDA_ARCHITECTURES=90)
    fi
    if [ -n "${HLQ_WERROR:-}" ]; then
        options+=("-DHLQ_WERROR=$HLQ_WERROR")
    fi
    mkdir -p "$folder"
    if [ -e "$folder/CMakeCache.txt" ] &&
        ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$ROOT" "$folder/CMakeCache.txt"; then
        options+=(--fresh) # the repository was moved with its build folders
    fi
    (cd -- "$ROOT" && quietly "$folder/configure.log" \
        cmake --preset "$preset" -B "$folder" ${options[@]+"${options[@]}"} "$@") ||
        die "CMake could not configure ${folder##*/}/ (log: ${folder##*/}/configure.log)"
}
