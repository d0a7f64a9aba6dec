#!/bin/sh
# amalgamate.sh FOLDER: writes the library as one refrain.c and one refrain.h, with portable kernels
# and no dependency, and the first example beside them. Then this is all there is to building it:
#   cc -O2 refrain.c 01_mlp.c -lm
# A header is copied where it is first included; one that stands under an #if of a source is copied
# there too and again later, which its guard allows. What must come before any system header
# (feature macros) is moved to the top.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$root"
layers="base mem dev tensor kernel op grad remat comm nn plan optim dist data io"

# expand FILE...: the files, with the includes that can be found here put in their place.
expand() {
    awk '
    function find(path, from,   folder) {
        if (path ~ /^refrain\//) return "include/" path
        folder = from
        sub(/[^\/]*$/, "", folder)
        if ((getline probe < ("src/" path)) >= 0) { close("src/" path); return "src/" path }
        if ((getline probe < (folder path)) >= 0) { close(folder path); return folder path }
        return ""
    }
    function copy(file,   line, path, found, depth, guard, name) {
        print "/* ---- " file " ---- */"
        guard = file ~ /\.h$/
        while ((getline line < file) > 0) {
            if (line ~ /^[ \t]*#[ \t]*if/) depth++
            if (line ~ /^[ \t]*#[ \t]*endif/) depth--
            if (line ~ /^[ \t]*#[ \t]*define[ \t]+_[A-Z0-9]+_SOURCE/) continue
            if (line !~ /^[ \t]*#[ \t]*include[ \t]*["<]/) { print line; continue }
            path = line
            sub(/^[^"<]*["<]/, "", path); sub(/[">].*/, "", path)
            found = line ~ /"/ || path ~ /^refrain\// ? find(path, file) : ""
            if (found == "") { print line; continue }
            if (found ~ /^include\// && !public) continue
            if (found in done) continue
            if (found ~ /\.h$/ && depth <= guard) done[found] = 1
            if (found in open_now) continue
            open_now[found] = 1
            copy(found)
            delete open_now[found]
        }
        close(file)
    }
    BEGIN {
        public = ARGV[1] ~ /^include\//
        for (i = 1; i < ARGC; i++) if (!(ARGV[i] in done)) { done[ARGV[i]] = 1; copy(ARGV[i]) }
    }' "$@"
}

version=$(sed -n 's/^#define RF_VERSION_\(MAJOR\|MINOR\|PATCH\) *\([0-9]*\).*/\2/p' \
    include/refrain/base.h | paste -sd .)
banner="/* Refrain $version in one file, made by scripts/amalgamate.sh. Apache-2.0. */"

{
    echo "$banner"
    echo "#ifndef RF_AMALGAMATION_H"
    echo "#define RF_AMALGAMATION_H"
    expand include/refrain/refrain.h $(ls include/refrain/*.h | grep -v /refrain.h)
    echo "#endif"
} >"$out/refrain.h"

sources=
for layer in $layers; do
    for source in src/$layer/*.c; do
        [ ! -f "$source" ] || sources="$sources $source"
    done
done
{
    echo "$banner"
    { echo "#define _POSIX_C_SOURCE 200809L"
      cat $sources | grep -E '^#define _[A-Z0-9]+_SOURCE'; } | LC_ALL=C sort -u |
        awk '{ print "#ifndef " $2; print; print "#endif" }'
    echo "#define RF_VECTOR_TABLE rf_vector_portable"
    echo "#include \"refrain.h\""
    expand $sources
} >"$out/refrain.c"

for example in examples/01_*.c; do
    [ ! -f "$example" ] || sed 's/<refrain\/[a-z]*\.h>/"refrain.h"/' "$example" >"$out/$(basename "$example")"
done
