#!/usr/bin/env bash
# Measures the processor time, the round trips and the log of the built functions, and writes docs/COST.md anew. Run `sam build` first.
#
#   tests/scripts/cost.sh [--quick]       --quick measures everything once, writes nothing, and looks whether every number is there
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/tools.sh"
use_local_aws

ensure_python_tools
ensure_dynamodb_local
cd "$HOOKLINE_ROOT"
cargo build --quiet --locked --workspace --bin cost
measured=$(mktemp)
trap 'rm -f "$measured"; [[ -z "${DYNAMODB_PID:-}" ]] || kill "$DYNAMODB_PID"' EXIT
# shellcheck disable=SC2119 # any port will do
start_dynamodb_local

endpoint=http://127.0.0.1:$DYNAMODB_PORT
"$HOOKLINE_PYTHON" tests/scripts/template.py tables "$endpoint"
"$HOOKLINE_PYTHON" tests/scripts/cost.py "$@" "$endpoint" .aws-sam/build "${CARGO_TARGET_DIR:-target}/debug/cost" >"$measured"
if [[ "${1:-}" == --quick ]]; then
    "$HOOKLINE_PYTHON" tests/scripts/cost.py --check "$measured"
else
    cat "$measured" >docs/cost/measured.json
    cargo run -q -p hookline-tests --bin cost >"$measured"
    cat "$measured" >docs/COST.md
fi
