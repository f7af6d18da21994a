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
    export HOOKLINE_OPENAPI_ALONE=1
    # Webhooks with made-up hosts are registered, tested, and sent events: all of it runs in a network of its own that leads nowhere. (As
    # root, or where the kernel lets anybody have one.)
    for options in --net "--user --map-root-user --net"; do
        # shellcheck disable=SC2086 # several options
        if unshare $options true 2>/dev/null; then
            exec unshare $options "${BASH_SOURCE[0]}" "$@"
        fi
    done
    echo "no network of its own can be had here, and in any other one requests would go to hosts that are made up" >&2
    exit 1
fi
cd "$HOOKLINE_ROOT"
exec "$HOOKLINE_OPENAPI/bin/python" tests/scripts/openapi.py "${CARGO_TARGET_DIR:-target}/debug/local" "$@"
