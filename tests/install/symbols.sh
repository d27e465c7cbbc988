#!/bin/sh
# symbols.sh NM LIBRARY: fails if the shared library shows a symbol that is not hlq_*, or none.
set -eu
symbols=$("$1" -D --defined-only "$2" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }')
if ! echo "$symbols" | grep -q '^hlq_version$'; then
    echo "$2 does not show hlq_version" >&2
    exit 1
fi
if echo "$symbols" | grep -v '^hlq_'; then
    echo "$2 shows the symbols above, which are not hlq_*" >&2
    exit 1
fi
