#!/usr/bin/env bash
# A Python program on ranks of MPI, on this machine or on those named.
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

usage() {
    cat <<'TEXT'
usage: launch/mpirun.sh [-n RANKS] [-H HOST:RANKS,...] PROGRAM.py [ARGUMENT...]
Runs PROGRAM.py on RANKS ranks (default: this machine's cores, at most 4). With -H, on other
machines, which need the same files at the same place, and ssh without a password; the first is
where the ranks of torch.distributed meet. Environment variables HLQ_... reach all ranks.
For example: launch/mpirun.sh -n 4 adapters/pytorch/examples/train_bytes.py --comm hlq
TEXT
}

ranks='' hosts=''
while getopts :hn:H: option; do
    case $option in
    h) usage && exit ;;
    n) ranks=$OPTARG ;;
    H) hosts=$OPTARG ;;
    *) usage >&2 && die "-$OPTARG is not an option, or has no value" ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || { usage >&2 && die "there is no program"; }
[ -x "$VENV/bin/python" ] || die "there is no .venv; run launch/env first"
use_venv
command -v mpirun >/dev/null || die "there is no mpirun; run launch/env"

if [ -z "$ranks" ]; then
    ranks=$(getconf _NPROCESSORS_ONLN)
    ranks=$((ranks < 4 ? ranks : 4))
fi
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # ranks of one machine share its cores
where=()
if [ -n "$hosts" ]; then
    first=${hosts%%,*}
    export MASTER_ADDR="${MASTER_ADDR:-${first%%:*}}"
    where=(--host "$hosts" -x MASTER_ADDR -x PATH -x OMP_NUM_THREADS)
    for name in $(compgen -e HLQ_); do where+=(-x "$name"); done
fi
exec mpirun -n "$ranks" ${where[@]+"${where[@]}"} python "$@"
