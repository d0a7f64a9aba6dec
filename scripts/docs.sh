#!/bin/sh
# docs.sh [OUT]: the site in OUT (build/docs): the API reference and the pages of docs/, which doxygen
# makes, and keywords.html, an index of every public symbol, which is made here. Without doxygen (or
# with RF_DOXYGEN=no) there is only the index, and its contracts are the headers.
# What doxygen warns of is in OUT/warnings.txt, and printed.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
out=${1:-build/docs}
# Where the tree lies, seen from the site.
case $out in
/*) up=$root/ ;;
*) up=$(echo "$out/" | sed 's|//*|/|g; s|^\./||; s|[^/][^/]*/|../|g') ;;
esac
rm -rf "$out"
mkdir -p "$out"

awk -v mode=symbols -f scripts/docs-headers.awk include/refrain/*.h >"$out/symbols.tsv"

readme=
[ ! -f README.md ] || readme=README.md
note=
if [ "${RF_DOXYGEN:-yes}" != no ] && command -v doxygen >/dev/null; then
    version=$(sed -n 's/^#define RF_VERSION_[A-Z]* //p' include/refrain/base.h | paste -s -d . -)
    RF_DOCS_OUT=$out RF_DOCS_ROOT=$up RF_DOCS_VERSION=$version RF_DOCS_README=$readme \
        RF_DOCS_MAIN=${readme:-docs/tutorial.md} doxygen docs/Doxyfile
    cat "$out/warnings.txt"
else
    note="doxygen is not installed: contracts are links into the headers, and there are no pages"
    echo "docs: $note"
fi

[ -f "$out/refrain.tag" ] || : >"$out/refrain.tag"
awk -v up="$up" -v note="$note" -f scripts/docs-keywords.awk \
    "$out/symbols.tsv" "$out/refrain.tag" \
    $(find docs/concepts -name '*.md' | LC_ALL=C sort) \
    $(find tests -type f \( -name '*.[ch]' -o -name '*.inc' -o -name '*.sh' -o -name '*.cc' \) |
        LC_ALL=C sort) >"$out/keywords.html"
# What the page was made of stays with it no longer than needed.
rm -f "$out/refrain.tag"
