#!/bin/sh
# pkg_config.sh PKG_CONFIG CC PREFIX LIBDIR: builds and runs outside/two_threads.c with the flags
# that pkg-config gives for the tree installed at PREFIX. pkg-config escapes them for a shell.
set -eu
pkg_config=$1 compiler=$2 prefix=$3 libdir=$4
export PKG_CONFIG_PATH="$prefix/$libdir/pkgconfig"

flags=$("$pkg_config" --static --cflags --libs hlqcomm)
eval "set -- $flags"
"$compiler" -std=c11 "$(dirname "$0")/outside/two_threads.c" -o "$prefix/two_threads" "$@" -pthread
LD_LIBRARY_PATH=$prefix/$libdir "$prefix/two_threads"
