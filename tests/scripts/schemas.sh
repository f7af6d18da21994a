#!/usr/bin/env bash
# Holds the golden messages of shared/delivery against the schemas that their platforms publish.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/tools.sh"

ensure_python_tools
ensure_schemas
cd "$HOOKLINE_ROOT"
"$HOOKLINE_PYTHON" tests/scripts/schemas.py "$HOOKLINE_SCHEMAS" shared/delivery/tests/golden
