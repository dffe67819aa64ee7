#!/bin/sh
# Two "nodes" on one machine: two torchrun agents that meet at one address, as two machines do.
#
#   two_nodes.sh PROCESSES PROGRAM ARGUMENT ...
#
# trains with PROCESSES processes a node. On real machines each runs one of the two commands, with
# the first one's address, and all see the run folder at the same path.
set -eu
processes=$1
shift
port=${MASTER_PORT:-29400}

node() {
    rank=$1
    shift
    "${PYTHON:-python}" -m torch.distributed.run --nnodes 2 --node-rank "$rank" \
        --nproc-per-node "$processes" --master-addr 127.0.0.1 --master-port "$port" "$@"
}

node 1 "$@" &
second=$!
trap 'kill "$second" 2>/dev/null || true' EXIT
node 0 "$@"
wait "$second"
trap - EXIT
