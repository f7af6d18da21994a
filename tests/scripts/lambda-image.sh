#!/usr/bin/env bash
# Makes a stand-in for the Lambda base image public.ecr.aws/lambda/provided:al2023 from files of this machine, so that `sam local`
# works where no registry of images can be reached. It has this machine's C library, not Amazon Linux's: .ci/run checks apart from it
# that the functions need no symbol that Amazon Linux 2023 lacks.
#
#   tests/scripts/lambda-image.sh             makes the image unless it is there
#   tests/scripts/lambda-image.sh --force     makes it again
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/tools.sh"

readonly IMAGE=public.ecr.aws/lambda/provided:al2023-x86_64

if [[ "${1:-}" != --force ]] && docker image inspect "$IMAGE" >/dev/null 2>&1; then
    exit 0
fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# A program or library with everything that it loads, at the same path.
take() {
    local file
    for file in "$@"; do
        install -D "$(readlink -f "$file")" "$root$file"
        { ldd "$file" 2>/dev/null || true; } | grep -oE '/[^ ]+' | while read -r library; do
            [[ -e "$root$library" ]] || install -D "$(readlink -f "$library")" "$root$library"
        done
    done
}

mkdir -p "$root"/{bin,dev,etc/pki/tls/certs,etc/ssl/certs,proc,root,sys,tmp,usr/bin,var/rapid,var/runtime,var/task}
chmod 1777 "$root/tmp"

take /bin/sh
for tool in cat chmod cp env ls mkdir mv rm sleep; do
    take "$(command -v "$tool")"
done

# What glibc and Rust's standard library load at run time, names included.
loader_folders=$(dirname "$(ldconfig -p | awk '/libc\.so\.6 .*x86-64/ {print $NF; exit}')")
for library in libc.so.6 libgcc_s.so.1 libm.so.6 libpthread.so.0 libdl.so.2 librt.so.1 libresolv.so.2 libnss_files.so.2 libnss_dns.so.2; do
    take "$loader_folders/$library"
done
[[ -e "$root/lib64/ld-linux-x86-64.so.2" ]] || take /lib64/ld-linux-x86-64.so.2

install -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
ln -s /etc/ssl/certs/ca-certificates.crt "$root/etc/pki/tls/certs/ca-bundle.crt"
printf 'hosts: files dns\npasswd: files\ngroup: files\n' >"$root/etc/nsswitch.conf"
printf 'root:x:0:0:root:/root:/bin/sh\nsbx_user1051:x:993:990::/tmp:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nsbx_user1051:x:990:\n' >"$root/etc/group"

tar -C "$root" -c . | docker import \
    --change 'WORKDIR /var/task' \
    --change 'ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime PATH=/usr/local/bin:/usr/bin:/bin TZ=:UTC LANG=en_US.UTF-8' \
    --change 'ENTRYPOINT ["/var/rapid/aws-lambda-rie"]' \
    - "$IMAGE" >/dev/null
echo "made $IMAGE ($(docker image inspect --format '{{.Size}}' "$IMAGE") bytes)"
