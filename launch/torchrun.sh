#!/usr/bin/env bash
# A Python program on ranks of torchrun, on this machine or, started on each, on several.
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

usage() {
    cat <<'TEXT'
usage: launch/torchrun.sh [-n RANKS] [-N MACHINES -a ADDRESS[:PORT]] PROGRAM.py [ARGUMENT...]
Runs PROGRAM.py on RANKS ranks of this machine (default: its cores, at most 4). On several machines,
call it on each of them with the same arguments; ADDRESS is that of one of them.
For example: launch/torchrun.sh -n 4 adapters/pytorch/examples/train_bytes.py --comm hlq
TEXT
}

ranks='' machines=1 address=''
while getopts :hn:N:a: option; do
    case $option in
    h) usage && exit ;;
    n) ranks=$OPTARG ;;
    N) machines=$OPTARG ;;
    a) address=$OPTARG ;;
    *) usage >&2 && die "-$OPTARG is not an option, or has no value" ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || { usage >&2 && die "there is no program"; }
[ "$machines" = 1 ] || [ -n "$address" ] || die "several machines need the address of one: -a"
[ -x "$VENV/bin/python" ] || die "there is no .venv; run launch/env first"
use_venv

if [ -z "$ranks" ]; then
    ranks=$(getconf _NPROCESSORS_ONLN)
    ranks=$((ranks < 4 ? ranks : 4))
fi
where=(--standalone)
if [ "$machines" != 1 ]; then
    case $address in *:*) ;; *) address=$address:29500 ;; esac
    where=(--nnodes "$machines" --rdzv-backend c10d --rdzv-endpoint "$address" --rdzv-id hlq)
fi
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # ranks of one machine share its cores
exec python -m torch.distributed.run "${where[@]}" --nproc-per-node "$ranks" "$@"
