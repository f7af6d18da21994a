#!/usr/bin/env bash
# DynamoDB Local with the tables of template.yaml, for trying things out by hand: fetches it when it is missing, starts it in memory on
# a free port (or the given one), makes the tables and prints the endpoint. Ctrl-C ends it, and its data with it.
#
#   tests/scripts/dynamodb-local.sh [PORT]
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/tools.sh"

ensure_python_tools
ensure_dynamodb_local
trap '[[ -z "${DYNAMODB_PID:-}" ]] || kill "$DYNAMODB_PID"' EXIT
start_dynamodb_local "$@"
"$HOOKLINE_PYTHON" "$HOOKLINE_ROOT/tests/scripts/template.py" tables "http://127.0.0.1:$DYNAMODB_PORT"
echo "http://127.0.0.1:$DYNAMODB_PORT"
wait "$DYNAMODB_PID"
