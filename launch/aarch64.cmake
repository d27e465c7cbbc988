# Cross compiling for Linux on AArch64 (the preset aarch64); tests run under qemu's user mode. Debian
# and Ubuntu: apt install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
find_program(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++) # for a check of headers, where there is one

set(hlq_root /usr/aarch64-linux-gnu) # where Debian has the libraries of that processor
set(CMAKE_FIND_ROOT_PATH ${hlq_root})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)

find_program(HLQ_QEMU NAMES qemu-aarch64-static qemu-aarch64)
if(HLQ_QEMU)
    set(CMAKE_CROSSCOMPILING_EMULATOR ${HLQ_QEMU} -L ${hlq_root})
endif()
