#!/bin/sh
# check-arm64.sh: builds for arm64 with portable kernels and runs the core of the suite under
# qemu-user. cmocka for arm64 is unpacked below build/arm64, beside the system and not in it.
set -eu
cd "$(dirname "$0")/.."
scripts/install-deps.sh build arm64
sysroot=$PWD/build/arm64/sysroot
apt=$PWD/build/arm64/apt

unpack_cmocka() {
    mkdir -p "$sysroot" "$apt/lists/partial" "$apt/packages"
    foreign="-qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::lists=$apt/lists
             -o Dir::State::status=/dev/null -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
             -o APT::Sandbox::User=root"
    apt-get $foreign update
    (cd "$apt/packages" && apt-get $foreign download libcmocka-dev libcmocka0)
    for package in "$apt"/packages/*.deb; do
        dpkg-deb -x "$package" "$sysroot"
    done
}
if [ ! -e "$sysroot/usr/include/cmocka.h" ]; then
    unpack_cmocka
fi
cmake --preset arm64 >/dev/null
cmake --build build/arm64 -j "${JOBS:-$(nproc)}"
RF_TEST_FAST=1 exec scripts/run-tests.sh build/arm64 -L 'unit|grad|equal|remat|header|example'
