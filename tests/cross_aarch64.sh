#!/usr/bin/env bash
# The kernels' tests, built for AArch64 and run under qemu's user mode: NEON gives the scalar bytes,
# and both the golden ones, which another processor wrote.
# Usage: cross_aarch64.sh REPOSITORY CMAKE BUILD-FOLDER. Exit code 77: it cannot run here, and why.
set -euo pipefail

root=$1 cmake=$2 folder=$3
tests=(test_dispatch test_kernels test_look_up test_lattice test_codes test_codec test_golden
    test_segment test_hnlq_golden test_quantizer_model test_quantizer_lattices test_lut)

skip() {
    echo "skipped: $*"
    exit 77
}

command -v aarch64-linux-gnu-gcc >/dev/null ||
    skip "there is no aarch64-linux-gnu-gcc (Debian: gcc-aarch64-linux-gnu)"
[ -e /usr/aarch64-linux-gnu/include/stdio.h ] ||
    skip "there is no C library to link with (Debian: libc6-dev-arm64-cross)"
command -v qemu-aarch64-static >/dev/null || command -v qemu-aarch64 >/dev/null ||
    skip "there is no qemu-aarch64 to run programs with (Debian: qemu-user-static)"

cd -- "$root"
"$cmake" --preset aarch64 -B "$folder"
"$cmake" --build "$folder" --target hlq_info "${tests[@]}" -- --quiet
"${cmake%cmake}ctest" --test-dir "$folder" --output-on-failure --no-tests=error \
    --parallel "$(getconf _NPROCESSORS_ONLN)" -R "^($(IFS='|' && echo "${tests[*]}"))\$"
