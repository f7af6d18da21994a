#!/usr/bin/env bash
# Builds all functions as they are deployed: with `cargo lambda build`, all in one call, whose links run side by side; then `sam build`, which
# asks cargo-lambda for each function by itself and finds it built. (`sam build` alone comes to the same, one link after another.)
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/tools.sh"
use_local_aws
ensure_python_tools
cd "$HOOKLINE_ROOT"

read -ra binaries < <("$HOOKLINE_PYTHON" tests/scripts/template.py binaries)
# And the one that cold starts are held against.
cargo lambda build --release --locked "${binaries[@]}" --bin hello
printf 'cargo lambda build: %d s\n' "$SECONDS"

SECONDS=0
sam build
printf 'sam build: %d s\n' "$SECONDS"

# Both have made the same, or one of them was not asked for what the other was.
"$HOOKLINE_PYTHON" tests/scripts/template.py built "${CARGO_TARGET_DIR:-target}/lambda" .aws-sam/build
