#!/bin/sh
# check-layers.sh [ROOT]: a file in src/<layer> includes only "layer/file" of its own layer or of one
# below it; the command includes only <refrain/...>, the language and its own files; public headers
# include only each other. Prints each include that breaks this, as file:line.
set -eu
cd "${1:-$(dirname "$0")/..}"

find src include -type f \( -name '*.[ch]' -o -name '*.def' -o -name '*.inc' \) | LC_ALL=C sort |
xargs awk '
BEGIN {
    count = split("base mem dev kernel tensor op grad remat comm nn plan optim dist data+io cli", row, " ")
    for (i = 1; i <= count; i++) {
        peers = split(row[i], peer, "+")
        for (j = 1; j <= peers; j++) rank[peer[j]] = i
    }
}
function wrong(why) { print FILENAME ":" FNR ": " why ": " $0; bad = 1 }
FNR == 1 {
    split(FILENAME, part, "/")
    public = part[1] == "include"
    layer = part[2]
    if (!public && !(layer in rank)) { wrong("src/" layer " is no layer"); nextfile }
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
    path = $0
    sub(/^[^"]*"/, "", path); sub(/".*/, "", path)
    split(path, part, "/")
    if (public) wrong("a public header includes only <...>")
    else if (!(part[1] in rank)) wrong("an include is written \"layer/file\"")
    else if (layer == "cli" && part[1] != "cli") wrong("the command uses only <refrain/...>")
    else if (rank[part[1]] > rank[layer]) wrong(layer " is below " part[1])
}
/^[ \t]*#[ \t]*include[ \t]*</ && layer == "cli" && !public {
    if ($0 ~ /<(dnnl|omp|cblas)/) wrong("the command uses only <refrain/...>")
}
END { exit bad }'
