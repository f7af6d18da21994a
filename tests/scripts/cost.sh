#!/usr/bin/env bash
# Measures the processor time, the round trips and the log of the built functions, and writes docs/COST.md anew. Run `sam build` first.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/tools.sh"
use_local_aws

ensure_python_tools
ensure_dynamodb_local
cd "$HOOKLINE_ROOT"
cargo build -q -p hookline-tests --bin cost
# shellcheck disable=SC2119 # any port will do
start_dynamodb_local
trap 'kill "$DYNAMODB_PID"' EXIT

endpoint=http://127.0.0.1:$DYNAMODB_PORT
"$HOOKLINE_PYTHON" tests/scripts/template.py tables "$endpoint"
measured=$(mktemp)
"$HOOKLINE_PYTHON" tests/scripts/cost.py "$endpoint" .aws-sam/build "${CARGO_TARGET_DIR:-target}/debug/cost" >"$measured"
mv "$measured" docs/cost/measured.json
cargo run -q -p hookline-tests --bin cost >"$measured"
mv "$measured" docs/COST.md
