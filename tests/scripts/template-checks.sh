#!/usr/bin/env bash
# template.yaml before cfn-lint, checkov and rules of our own, each of which must also find something in a spoiled copy. Needs no AWS.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/tools.sh"
use_local_aws

ensure_python_tools
ensure_checkov

cd "$HOOKLINE_ROOT"
HOOKLINE_CLOUDFORMATION_SCHEMAS=$("$HOOKLINE_CHECKOV/bin/python" -c \
    'import cfnlint, pathlib; print(pathlib.Path(cfnlint.__file__).parent / "data/schemas")')
export HOOKLINE_CLOUDFORMATION_SCHEMAS
"$HOOKLINE_PYTHON" tests/scripts/findings.py "$HOOKLINE_CHECKOV/bin"
"$HOOKLINE_PYTHON" tests/scripts/template_checks.py
"$HOOKLINE_PYTHON" tests/scripts/built_for_check.py
