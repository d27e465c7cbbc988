#!/usr/bin/env bash
# launch/netlab: a network comes up, a program runs on it, and nothing is left, whatever ends it.
# Usage: test_netlab.sh LAUNCH-FOLDER HLQ_PERF. Exit code 77: it cannot run here, and why.
# shellcheck disable=SC2329 # functions are called by check
set -uo pipefail
set -m # programs in the background hear of SIGINT

netlab=$1/netlab perf=$2
failures=0

skip() {
    echo "skipped: $*"
    exit 77
}

# check WHAT COMMAND...: that the command succeeds.
check() {
    local what=$1
    shift
    "$@" && return
    echo "does not hold: $what"
    failures=$((failures + 1))
}

interfaces() { ip -br link | cut -d ' ' -f 1 | sort; }

# nothing_left PID: of the netlab that had this process id.
nothing_left() {
    ! ip netns list | grep -q "^hlq-netlab-$1\b" &&
        ! compgen -G "/tmp/hlq-netlab-$1.*" >/dev/null &&
        [ "$(interfaces)" = "$before" ]
}

# is_running PID: both ranks' sleep is.
is_running() {
    local rank
    for rank in 0 1; do
        ip netns pids "hlq-netlab-$1-$rank" 2>/dev/null |
            xargs -I {} cat /proc/{}/comm 2>/dev/null | grep -qx sleep || return 1
    done
}

a_program_runs_on_it() {
    local pid output
    output=$(mktemp)
    "$netlab" 2 1gbit -- "$perf" -b 64K -e 64K -n 2 -w 1 --alg twoshot >"$output" 2>&1 &
    pid=$!
    check "hlq_perf ends well" wait "$pid"
    check "on 2 ranks" grep -q '2 ranks (mpi)' "$output"
    check "with right results" grep -q 'Rows whose ranks differ : 0 OK' "$output"
    check "nothing is left" nothing_left "$pid"
    if [ "$failures" -gt 0 ]; then cat "$output"; fi
    rm -f "$output"
}

exit_codes_are_told() {
    local pid
    "$netlab" 2 unshaped -- sh -c 'exit 3' >/dev/null 2>&1 &
    pid=$!
    check "a program's exit code is netlab's" exits_with 3 "$pid"
    check "nothing is left when it fails" nothing_left "$pid"
    check "a wrong rate is refused" refuses 2 fast -- true
    check "one rank is refused" refuses 1 1gbit -- true
}

# exits_with CODE PID
exits_with() {
    local code=0
    wait "$2" || code=$?
    [ "$code" = "$1" ]
}

refuses() { ! "$netlab" "$@" >/dev/null 2>&1; }

# signals_end_it SIGNAL CODE PREFIX: to netlab alone, or with the prefix - to all it started, as
# Ctrl-C does.
signals_end_it() {
    local pid tenths
    "$netlab" 2 100mbit -- sleep 300 >/dev/null 2>&1 &
    pid=$!
    for ((tenths = 0; tenths < 600; tenths++)); do
        is_running "$pid" && break
        sleep 0.1
    done
    check "ranks come up" is_running "$pid"
    kill "-$1" -- "$3$pid"
    check "$1 ends it" exits_with "$2" "$pid"
    check "nothing is left after $1" nothing_left "$pid"
}

[ "$(id -u)" = 0 ] || skip "network namespaces need root"
for program in ip tc; do
    command -v "$program" >/dev/null || skip "there is no $program (iproute2)"
done
ip netns add "test-netlab-$$" 2>/dev/null || skip "network namespaces are not allowed here"
ip netns del "test-netlab-$$"

trap 'jobs -p | xargs -r kill 2>/dev/null' EXIT # should this test itself be ended
trap 'exit 143' INT TERM
before=$(interfaces)
a_program_runs_on_it
exit_codes_are_told
signals_end_it INT 130 ''
signals_end_it INT 130 -
signals_end_it TERM 143 ''
[ "$failures" = 0 ] && echo "passed"
exit "$((failures > 0))"
