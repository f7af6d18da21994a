#!/usr/bin/env bash
# How fast the built functions start, next to a bare one and to the same step in Node.js and Python; fails when one has become slow.
# Run `sam build` first. Arguments are those of cold_start.py: --rounds N, --markdown.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/tools.sh"

ensure_commands openssl=openssl
ensure_python_tools
ensure_cold_start

cd "$HOOKLINE_ROOT"
cargo lambda build --release --bin hello
node=$(mktemp -d)
trap 'rm -rf "$node"' EXIT
# As one deploys it: one file, without what is not used.
NODE_PATH=$HOOKLINE_COLD_START/node_modules "$HOOKLINE_COLD_START/node_modules/.bin/esbuild" tests/cold-start/node/bootstrap.mjs \
    --bundle --minify --platform=node --target=node20 --format=esm --outfile="$node/bootstrap.mjs" --log-level=warning \
    --banner:js='import { createRequire } from "node:module"; const require = createRequire(import.meta.url);'
"$HOOKLINE_PYTHON" tests/scripts/cold_start.py \
    .aws-sam/build "${CARGO_TARGET_DIR:-target}/lambda/hello/bootstrap" "$node" "$HOOKLINE_COLD_START/python" "$@"
