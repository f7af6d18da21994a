#!/usr/bin/env bash
# The whole way under cargo-lambda, against DynamoDB Local: HTTP over `cargo lambda watch` with the routes of Cargo.toml and the variables of
# tests/lambda.env, which have to say what template.yaml says, and `cargo lambda invoke` for the rest.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/tools.sh"
use_local_aws

ensure_python_tools
ensure_dynamodb_local
cd "$HOOKLINE_ROOT"
"$HOOKLINE_PYTHON" tests/scripts/template.py check

# What `watch` runs, at the first request for each: compiled before, so that no request waits for a compiler. In the profile of the tests,
# whose dependencies are compiled already, and over the workspace as `cargo run` does it.
read -ra binaries < <("$HOOKLINE_PYTHON" tests/scripts/template.py binaries)
cargo build --quiet --locked --workspace "${binaries[@]}"

trap '[[ -z "${DYNAMODB_PID:-}" ]] || kill "$DYNAMODB_PID"' EXIT
# shellcheck disable=SC2119 # any port will do
start_dynamodb_local
endpoint=http://127.0.0.1:$DYNAMODB_PORT
"$HOOKLINE_PYTHON" tests/scripts/template.py tables "$endpoint"
"$HOOKLINE_PYTHON" tests/scripts/flow.py cargo-lambda "$endpoint"
