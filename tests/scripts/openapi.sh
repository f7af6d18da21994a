#!/usr/bin/env bash
# Holds docs/openapi.json against the rules of OpenAPI, its examples against their schemas, and a running hub against the document.
# Arguments go to schemathesis: `tests/scripts/openapi.sh --include-operation-id createWebhook`.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/tools.sh"

if [[ -z "${HOOKLINE_OPENAPI_ALONE:-}" ]]; then
    ensure_openapi_tools
    cd "$HOOKLINE_ROOT"
    cargo build --quiet --locked --workspace --bin local
    # Webhooks with made-up hosts are registered, and events are sent to them: where the kernel allows it, in a network of their own that
    # leads nowhere.
    export HOOKLINE_OPENAPI_ALONE=1
    if unshare --net true 2>/dev/null; then
        exec unshare --net "${BASH_SOURCE[0]}" "$@"
    fi
fi
cd "$HOOKLINE_ROOT"
exec "$HOOKLINE_OPENAPI/bin/python" tests/scripts/openapi.py "${CARGO_TARGET_DIR:-target}/debug/local" "$@"
