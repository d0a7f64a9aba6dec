# docs-pages.awk: a page of docs/ for doxygen. Links to other pages are doxygen's to follow; links to
# anything else in the tree (programs, headers) lead out of the site, to root, where the tree lies
# seen from it.
#   awk -v root=PATH -f scripts/docs-pages.awk PAGE
FNR == 1 {
    folder = FILENAME
    if (!sub(/\/[^\/]*$/, "", folder)) folder = ""
    if (index(folder, ENVIRON["PWD"] "/") == 1) folder = substr(folder, length(ENVIRON["PWD"]) + 2)
    else if (folder == ENVIRON["PWD"]) folder = ""
    sub(/^\.\//, "", folder)
}

# normal(path): without its "." and "..".
function normal(path,   part, num, i, out, depth, kept) {
    num = split(path, part, "/")
    for (i = 1; i <= num; i++) {
        if (part[i] == "" || part[i] == ".") continue
        if (part[i] == ".." && depth > 0) depth--
        else kept[++depth] = part[i]
    }
    for (i = 1; i <= depth; i++) out = out (i > 1 ? "/" : "") kept[i]
    return out
}

/^ *```/ { fenced = !fenced }
{
    rest = $0
    out = ""
    while (!fenced && match(rest, /\]\([^)]*\)/)) {
        target = substr(rest, RSTART + 2, RLENGTH - 3)
        if (target !~ /^([a-z]+:|#)/ && target !~ /\.md(#|$)/)
            target = root normal((folder == "" ? "" : folder "/") target)
        out = out substr(rest, 1, RSTART - 1) "](" target ")"
        rest = substr(rest, RSTART + RLENGTH)
    }
    print out rest
}
