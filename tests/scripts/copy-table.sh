#!/usr/bin/env bash
# What brings a backup back into a stack (docs/deploy/copy_table.py), between tables of DynamoDB Local.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/tools.sh"
use_local_aws

ensure_python_tools
ensure_dynamodb_local
trap '[[ -z "${DYNAMODB_PID:-}" ]] || kill "$DYNAMODB_PID"' EXIT
# shellcheck disable=SC2119 # any port will do
start_dynamodb_local
"$HOOKLINE_PYTHON" "$HOOKLINE_ROOT/tests/scripts/copy_table_check.py" "http://127.0.0.1:$DYNAMODB_PORT"
