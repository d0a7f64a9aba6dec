#!/bin/sh
# check-statics.sh [ROOT]: no two files of src/ give a static function or variable the same name, so
# that the whole library can be one translation unit (scripts/amalgamate.sh) and so that a name in a
# debugger means one thing. clang-format keeps definitions of file scope in the first column, which
# is how they are told from locals.
set -eu
cd "${1:-$(dirname "$0")/..}"

find src include -type f \( -name '*.[ch]' -o -name '*.def' -o -name '*.inc' \) | LC_ALL=C sort |
xargs awk '
# declared(text): the name that a declaration of file scope gives, or nothing.
function declared(text,   name) {
    gsub(/"[^"]*"/, "", text)
    gsub(/\/\*([^*]|\*[^\/])*\*\//, " ", text)
    while (sub(/__attribute__ *\(\([^()]*(\([^()]*\))*[^()]*\)\)/, "", text)) continue
    gsub(/_(Alignas|Thread_local|Static_assert) *\([^()]*\)/, "", text)
    if (text ~ /^static[^(=;]*\( *\*/) {                    # a pointer to a function
        sub(/^[^(]*\( *\* *(const +)?/, "", text)
    } else {
        sub(/[\[(=;,{].*/, "", text)
        sub(/[ \t]+$/, "", text)
        if (match(text, /[A-Za-z_][A-Za-z_0-9]*$/)) return substr(text, RSTART, RLENGTH)
        return ""
    }
    match(text, /^[A-Za-z_][A-Za-z_0-9]*/)
    return substr(text, RSTART, RLENGTH)
}
FNR == 1 { open = 0 }
/^static[ \t]/ { open = 1; text = ""; line = FNR }
open {
    text = text " " $0
    sub(/^ /, "", text)
    if ($0 ~ /[(=;{[]/) {
        open = 0
        name = declared(text)
        if (name == "") next
        if (!(name in file)) { file[name] = FILENAME; where[name] = FILENAME ":" line }
        else if (file[name] != FILENAME) {
            print FILENAME ":" line ": static " name " is also at " where[name]
            bad = 1
        }
    }
}
END { exit bad }'
