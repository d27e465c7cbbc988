#!/bin/sh
# symbols.sh NM LIBRARY KNOWN HEADER: fails if the shared library shows a symbol that is not hlq_*,
# or is inside; or none that begins with KNOWN. Of hlq_cuda_*, those are inside that HEADER has not.
set -eu
symbols=$("$1" -D --defined-only "$2" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }')
if ! echo "$symbols" | grep -q "^$3"; then
    echo "$2 does not show $3" >&2
    exit 1
fi
public=$(grep -o 'hlq_cuda_[a-z_]*(' "$4" | tr -d '(')
others=$(echo "$symbols" | grep -vxF "$public" || true)
[ "$others" ] || exit 0
inside='^hlq_cuda_\|^hlq_segment_'
if echo "$others" | grep "$inside" || echo "$others" | grep -v '^hlq_'; then
    echo "$2 shows the symbols above, which are not its interface" >&2
    exit 1
fi
