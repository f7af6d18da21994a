#!/usr/bin/env bash
# The whole way over the built functions under `sam local`, in containers from a stand-in for Lambda's base image, against DynamoDB Local.
# Run `sam build` first. Needs root for the Docker daemon where none runs.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/tools.sh"
use_local_aws

DYNAMODB_PID=
clean_up() {
    [[ -z "$DYNAMODB_PID" ]] || kill "$DYNAMODB_PID" || true
    stop_docker
}
trap clean_up EXIT

ensure_python_tools
ensure_dynamodb_local
ensure_docker
"$HOOKLINE_ROOT/tests/scripts/lambda-image.sh"
# shellcheck disable=SC2119 # any port will do
start_dynamodb_local

cd "$HOOKLINE_ROOT"
"$HOOKLINE_PYTHON" tests/scripts/template.py tables "http://127.0.0.1:$DYNAMODB_PORT"
"$HOOKLINE_PYTHON" tests/scripts/flow.py sam "http://127.0.0.1:$DYNAMODB_PORT"
