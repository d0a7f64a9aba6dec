#!/bin/sh
# install-deps.sh [build|check|arm64|docs ...]: installs Debian packages that are missing, as root or
# through sudo. Without either it says in one line what is missing and goes on, because each of them
# is optional to some degree: the build and the suite tell what they do without. Silent when all is
# there. The first list of a group is needed; the second is installed where the archive has it.
set -u

needed= wanted=
for group in "${@:-build}"; do
    case $group in
    build)
        needed="$needed gcc libc6-dev make cmake"
        wanted="$wanted ninja-build libdnnl-dev" ;;
    check)
        needed="$needed g++ libcmocka-dev clang clang-format binutils pkg-config procps"
        wanted="$wanted libclang-rt-14-dev llvm-14" ;;
    arm64)
        needed="$needed gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user" ;;
    docs)
        needed="$needed doxygen" ;;
    *)
        echo "install-deps: no group '$group'; there are build, check, arm64, docs" >&2
        exit 2 ;;
    esac
done

# missing PACKAGE...: those that are not installed (a package that provides another's name counts).
missing() {
    for package; do
        dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || echo "$package"
    done | tr '\n' ' '
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    command -v cmake >/dev/null ||
        echo "install-deps: this is no Debian; please install by hand what these are here:$needed$wanted"
    exit 0
fi
needed=$(missing $needed)
wanted=$(missing $wanted)
[ -n "$needed$wanted" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    root="env"
elif sudo -n true 2>/dev/null; then
    root="sudo -n env"
else
    echo "install-deps: not root, and no sudo without a password; going on without: $needed$wanted"
    exit 0
fi

install() {
    $root DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 \
        --no-install-recommends install "$@" >"$log" 2>&1
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "install-deps: installing $needed$wanted"
[ -z "$needed" ] || install $needed || {
    $root apt-get -qq update >"$log" 2>&1
    install $needed
} || {
    tail -n 3 "$log"
    echo "install-deps: going on without: $(missing $needed)"
}
for package in $wanted; do
    install "$package" || echo "install-deps: going on without $package"
done
exit 0
