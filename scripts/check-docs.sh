#!/bin/sh
# check-docs.sh [SITE]: the documents of the tree that this lies in. Without SITE the site is made in
# a folder of its own, twice where doxygen is: with it and without. One line "ok" or "not ok" each:
#   every word of the headers' code that is ours (rf_, RF_) is in the index
#   every public function has a comment in its header
#   no relative link of README.md, docs/ and the index leads nowhere
#   doxygen warns of nothing
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# A site that is given is named from where this was called.
site=${1:-}
[ -z "$site" ] || site=$(cd "$site" && pwd) || exit 1
cd "$root" || exit 1
status=0

# verdict NAME FILE: passed if the file is empty; else its lines say why not.
verdict() {
    if [ ! -s "$2" ]; then
        echo "ok - $1"
    else
        echo "not ok - $1"
        sed 's/^/# /' "$2"
        status=1
    fi
}

# Told by another way than the index is made: not what a declaration looks like, but every word of
# code. Macros that a header takes back are not public.
public_words() {
    cat include/refrain/*.h | awk '
        /^#undef / { private[$2] = 1 }
        { text = text $0 "\n" }
        END {
            while (match(text, /\/\*([^*]|\*+[^*\/])*\*+\//))
                text = substr(text, 1, RSTART - 1) " " substr(text, RSTART + RLENGTH)
            gsub(/"[^"\n]*"/, "", text)
            gsub(/[^A-Za-z_0-9]+/, "\n", text)
            num = split(text, word, "\n")
            for (i = 1; i <= num; i++)
                if (word[i] ~ /^(rf|RF)_/ && !(word[i] in private)) print word[i]
        }' | LC_ALL=C sort -u
}

# links PAGE...: "page target" of every link of a Markdown or HTML page.
links() {
    awk '
        FNR == 1 { fenced = 0 }
        FILENAME ~ /\.md$/ && /^ *```/ { fenced = !fenced }
        {
            rest = $0
            while (FILENAME ~ /\.md$/ && !fenced && match(rest, /\]\([^)]*\)/)) {
                target = substr(rest, RSTART + 2, RLENGTH - 3)
                sub(/ +".*/, "", target)
                print FILENAME "\t" target
                rest = substr(rest, RSTART + RLENGTH)
            }
            while (match(rest, /(href|src)="[^"]*"/)) {
                target = substr(rest, RSTART, RLENGTH - 1)
                sub(/^[a-z]*="/, "", target)
                print FILENAME "\t" target
                rest = substr(rest, RSTART + RLENGTH)
            }
        }' "$@" | grep -v '	[a-z]*:' | LC_ALL=C sort -u
}

# dead PAGE...: the links that lead nowhere; in a page of HTML the place has to be there too.
dead() {
    links "$@" | while IFS='	' read -r page target; do
        case $target in
        \#*) file=$page ;;
        /*) file=${target%%#*} ;;
        *) file=$(dirname "$page")/${target%%#*} ;;
        esac
        if [ ! -e "$file" ]; then
            echo "$page: $target"
        else
            case $file in
            *.html)
                case $target in *\#*) printf '%s\t%s\t%s\n' "$file" "${target#*#}" "$page: $target" ;; esac ;;
            esac
        fi
    done >"$scratch/links"
    grep -v '	' "$scratch/links"
    # The places of every page that is linked, read once.
    cut -f 1 "$scratch/links" | grep '\.html$' | LC_ALL=C sort -u | while read -r file; do
        grep -oE '(id|name)="[^"]*"' "$file" | sed 's/^[a-z]*="//; s/"$//' | sed "s|^|$file	|"
    done >"$scratch/places"
    awk -F '\t' 'FILENAME ~ /places$/ { there[$1, $2] = 1; next }
        NF == 3 && !(($1, $2) in there) { print $3 }' "$scratch/places" "$scratch/links"
}

# check_site NAME FOLDER: the index of a site.
check_site() {
    grep -oE '<tr id="[^"]*"' "$2/keywords.html" | sed 's/.*="//; s/"//' | LC_ALL=C sort -u >"$scratch/listed"
    public_words | LC_ALL=C comm -23 - "$scratch/listed" | sed 's/$/ is not in the index/' >"$scratch/log"
    [ -s "$scratch/listed" ] || echo "the index is empty" >>"$scratch/log"
    verdict "$1: every public name is listed" "$scratch/log"
    dead "$2/keywords.html" >"$scratch/log"
    verdict "$1: no dead link in the index" "$scratch/log"
}

awk -v mode=symbols -f scripts/docs-headers.awk include/refrain/*.h |
    awk -F '\t' '$1 == "function" && !$5 { print $3 ":" $4 ": " $2 " has no comment" }' >"$scratch/log"
verdict "every public function has a comment" "$scratch/log"
dead $([ ! -f README.md ] || echo README.md) $(find docs -name '*.md' | LC_ALL=C sort) >"$scratch/log"
verdict "no dead link in the pages" "$scratch/log"

if [ -n "$site" ]; then
    check_site "$(basename "$site")" "$site"
    exit $status
fi
RF_DOXYGEN=no scripts/docs.sh "$scratch/plain" >/dev/null || status=1
check_site "without doxygen" "$scratch/plain"
if [ "${RF_DOXYGEN:-yes}" != no ] && command -v doxygen >/dev/null; then
    scripts/docs.sh "$scratch/site" >/dev/null || status=1
    check_site "with doxygen" "$scratch/site"
    verdict "doxygen warns of nothing" "$scratch/site/warnings.txt"
else
    echo "ok - with doxygen # SKIP no doxygen"
fi
exit $status
