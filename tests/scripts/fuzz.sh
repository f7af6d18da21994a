#!/usr/bin/env bash
# Runs each target of fuzz/ for a bounded time on top of its corpus, and fails on any crash, hang or broken promise. What it finds on its way
# is thrown away; an input that fails is kept under target/fuzz/artifacts, to be added to the corpus when it is mended.
#
#   tests/scripts/fuzz.sh                       # 30 seconds for each
#   FUZZ_SECONDS=3600 tests/scripts/fuzz.sh     # longer
#   tests/scripts/fuzz.sh signature FILE        # one input again
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly SECONDS_EACH=${FUZZ_SECONDS:-30} TARGETS=(signature mapping)
# Inputs are small, and so must be what they cost: bytes, seconds and megabytes for each.
readonly LIMITS=(-max_len=4096 -timeout=10 -rss_limit_mb=2048)

# What libFuzzer is guided by, in the words of the compiler's own pass: `cargo fuzz` asks for the same, and for a nightly compiler only
# because of the sanitizers, which find nothing in code without `unsafe`. With --target, build scripts are left without it.
host=$(rustc --print host-tuple)
export CARGO_TARGET_DIR=$PWD/target/fuzz
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
cargo build --release --locked --quiet --manifest-path fuzz/Cargo.toml --target "$host"
programs=$CARGO_TARGET_DIR/$host/release
artifacts=$CARGO_TARGET_DIR/artifacts
mkdir -p "$artifacts"

if (($# > 0)); then
    exec "$programs/$1" "${LIMITS[@]}" "${@:2}"
fi

folder=$(mktemp -d)
running=()
# Also when it is interrupted: nothing goes on behind its back.
trap '[[ ${#running[@]} -eq 0 ]] || kill "${running[@]}" 2>/dev/null || true; rm -rf "$folder"' EXIT

for target in "${TARGETS[@]}"; do
    mkdir "$folder/$target"
    # New inputs are written to the first folder only.
    "$programs/$target" "$folder/$target" "fuzz/corpus/$target" "${LIMITS[@]}" -max_total_time="$SECONDS_EACH" \
        -artifact_prefix="$artifacts/$target-" -print_final_stats=1 >"$folder/$target.log" 2>&1 &
    running+=($!)
done

passed=0
failed=0
for index in "${!TARGETS[@]}"; do
    target=${TARGETS[index]}
    log=$folder/$target.log
    if ! wait "${running[index]}"; then
        tail -n 60 "$log"
        echo "$target: an input fails; it is kept in $artifacts" >&2
        failed=$((failed + 1))
        continue
    fi
    first=$(sed -nE 's/^#[0-9]+\tINITED cov: ([0-9]+) .*/\1/p' "$log")
    last=$(sed -nE 's/^#[0-9]+\tDONE +cov: ([0-9]+) .*/\1/p' "$log")
    runs=$(sed -nE 's/^stat::number_of_executed_units: +//p' "$log")
    printf '  %-10s %9s runs, coverage %s, of which the corpus reaches %s\n' "$target" "$runs" "$last" "$first"
    # Without counters it would go on, blindly.
    if ((${last:-0} < 1000)); then
        echo "$target: not guided by coverage" >&2
        failed=$((failed + 1))
        continue
    fi
    passed=$((passed + 1))
done
running=()
echo "$passed passed, $failed failed"
((failed == 0))
