#!/bin/sh
# The documents of the tree, and the check of them: each thing that it must find is put into a copy
# of the tree, and must be found.
set -u
root=$(cd "${RF_SOURCE_DIR:-$(dirname "$0")/..}" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
status=0

"$root/scripts/check-docs.sh" || status=1
# What is to be found is found without doxygen too, and sooner.
export RF_DOXYGEN=no

# copy: what the documents are made of, as it is.
copy() {
    rm -rf "$folder/tree"
    mkdir "$folder/tree"
    cd "$root" || exit 1
    cp -r $(ls -d README.md docs include tests examples scripts 2>/dev/null) "$folder/tree"
    for other in $(ls -A); do                               # only linked to
        [ -e "$folder/tree/$other" ] || [ "$other" = .git ] || [ "$other" = build ] ||
            ln -s "$root/$other" "$folder/tree/$other"
    done
    cd "$folder/tree" || exit 1
}

# red NAME EXPECTED [SITE]: the check fails, and says what and where.
red() {
    if ! scripts/check-docs.sh ${3:-} >"$folder/log" 2>&1 && grep -q -- "$2" "$folder/log"; then
        echo "ok - found: $1"
    else
        echo "not ok - found: $1"
        sed 's/^/# /' "$folder/log"
        status=1
    fi
}

# What the index leaves out: a list that is made without one kind, and a declaration of a form that
# the list does not know.
for kind in function type value error macro object; do
    copy
    scripts/docs.sh "$folder/tree/site" >/dev/null
    name=$(awk -F '\t' -v kind=$kind '$1 == kind && $2 !~ /_options$/ { print $2; exit }' site/symbols.tsv)
    grep -v "<tr id=\"$name\"" site/keywords.html >page && mv page site/keywords.html
    red "a missing $kind" "^# $name is not in the index" site
done
copy
echo 'union rf_odd { int x; };' >>include/refrain/base.h
red "a name of a form that the list does not know" "^# rf_odd is not in the index"

copy
printf '\nRF_API int rf_bare(int x);\n' >>include/refrain/base.h
red "a function without a comment" "rf_bare has no comment"
copy
printf '\n/* ---- a rule ---- */\nRF_API int rf_bare(int x);\n' >>include/refrain/base.h
red "a function with nothing but a rule above" "rf_bare has no comment"

copy
echo '[gone](concepts/gone.md)' >>docs/tutorial.md
red "a dead link in a page" "docs/tutorial.md: concepts/gone.md"
copy
echo '[gone](docs/gone.md)' >>README.md
red "a dead link in README.md" "README.md: docs/gone.md"
copy
scripts/docs.sh "$folder/tree/site" >/dev/null
echo '<a href="gone.html">gone</a>' >>site/keywords.html
red "a dead link in the index" "keywords.html: gone.html" site
echo '<a href="#gone">gone</a>' >>site/keywords.html
red "a link in the index to a place that is not there" "keywords.html: #gone" site
exit $status
