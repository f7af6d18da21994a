#!/usr/bin/env bash
# The whole way over the built functions under AWS's Lambda runtime interface emulator, without Docker, against DynamoDB Local.
# Run `sam build` first.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/tools.sh"
use_local_aws

ensure_python_tools
ensure_dynamodb_local
trap '[[ -z "${DYNAMODB_PID:-}" ]] || kill "$DYNAMODB_PID"' EXIT
# shellcheck disable=SC2119 # any port will do
start_dynamodb_local

cd "$HOOKLINE_ROOT"
endpoint=http://127.0.0.1:$DYNAMODB_PORT
"$HOOKLINE_PYTHON" tests/scripts/template.py tables "$endpoint"
"$HOOKLINE_PYTHON" tests/scripts/flow.py emulator "$endpoint" .aws-sam/build
