#!/usr/bin/env bash
# After `sam build`: each function must load on Amazon Linux 2023, whose C library is glibc 2.34, and stay small, since its size is part
# of each cold start.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# `manage` has what `fan-out` has, for test deliveries, beside the whole API and its documents.
readonly NEWEST_GLIBC=2.34 LARGEST_ZIP=$((4 * 1024 * 1024)) LARGEST_MANAGE_ZIP=$((9 * 1024 * 1024 / 2))

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
count=0
for bootstrap in .aws-sam/build/*/bootstrap; do
    name=$(basename "$(dirname "$bootstrap")")
    glibc=$(objdump -T "$bootstrap" | grep -oE 'GLIBC_[0-9.]+' | cut -d_ -f2 | sort -Vu | tail -n 1)
    zip -q -9 -j "$folder/$name.zip" "$bootstrap"
    size=$(stat -c %s "$bootstrap")
    zipped=$(stat -c %s "$folder/$name.zip")
    printf '  %-16s %9d bytes, zipped %8d, needs glibc %s\n' "$name" "$size" "$zipped" "$glibc"
    if [[ "$(printf '%s\n' "$glibc" "$NEWEST_GLIBC" | sort -V | tail -n 1)" != "$NEWEST_GLIBC" ]]; then
        echo "$name needs a newer C library than Amazon Linux 2023 has ($NEWEST_GLIBC)" >&2
        failed=1
    fi
    case $name in
        ManageFunction) largest=$LARGEST_MANAGE_ZIP ;;
        *) largest=$LARGEST_ZIP ;;
    esac
    if ((zipped > largest)); then
        echo "$name is larger than $largest bytes when zipped" >&2
        failed=1
    fi
    count=$((count + 1))
done
expected=$(grep -c 'Type: AWS::Serverless::Function$' template.yaml)
if ((count != expected)); then
    echo "$count functions were built, template.yaml has $expected" >&2
    failed=1
fi
exit "$failed"
