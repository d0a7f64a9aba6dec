#!/bin/sh
# Installs into an empty folder, moves it, and builds and runs an example against it: by
# find_package and by pkg-config, shared and static.
set -u
build=${RF_BUILD_DIR:-build/release}
source=$(cd "${RF_SOURCE_DIR:-$(dirname "$0")/..}" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
status=0

# try NAME COMMAND...
try() {
    name=$1
    shift
    if "$@" >"$folder/log" 2>&1; then
        echo "ok - $name"
    else
        echo "not ok - $name"
        tail -n 30 "$folder/log" | sed 's/^/# /'
        status=1
    fi
}

cmake --install "$build" --prefix "$folder/first" >/dev/null || exit 1
mv "$folder/first" "$folder/prefix"
prefix=$folder/prefix
libdir=$(dirname "$(find "$prefix" -name librefrain.a)")
example=$(ls "$source"/examples/01_*.c)
cd "$folder" || exit 1

cat >CMakeLists.txt <<END
cmake_minimum_required(VERSION 3.21)
project(user C)
find_package(refrain REQUIRED COMPONENTS \${KIND})
add_executable(user $example)
target_link_libraries(user \${TARGET} m)
END
by_cmake() {
    cmake -S . -B "$1" "-DCMAKE_PREFIX_PATH=$prefix" "-DKIND=$1" "-DTARGET=$2" &&
        cmake --build "$1" && "$1/user"
}
try "find_package, shared" by_cmake shared refrain::refrain
try "find_package, static" by_cmake static refrain::refrain_static

by_pkg_config() {
    flags=$(PKG_CONFIG_PATH="$libdir/pkgconfig" pkg-config --cflags --libs "$@" refrain) &&
        cc "$example" $flags -lm -o user && LD_LIBRARY_PATH=$libdir ./user
}
if command -v pkg-config >/dev/null; then
    try "pkg-config, shared" by_pkg_config
else
    echo "ok - pkg-config, shared # SKIP no pkg-config"
fi

try "the installed command runs" "$prefix/bin/refrain" --help

# Without the shared library, -lrefrain is the static one.
rm -f "$libdir"/librefrain.so*
if command -v pkg-config >/dev/null; then
    try "pkg-config, static" by_pkg_config --static
else
    echo "ok - pkg-config, static # SKIP no pkg-config"
fi
exit $status
