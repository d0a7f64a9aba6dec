# docs-keywords.awk: the index of public symbols, an HTML page, for scripts/docs.sh.
#   awk -v up=PATH -v note=TEXT -f ... symbols.tsv refrain.tag concepts/*.md tests/...
# up leads from the page to the tree. The first file is the list of docs-headers.awk, and every line
# of it becomes a row (fields only of structs of options); the second tells where doxygen put each
# contract (empty: link the headers); a page or a test belongs to a symbol if it has it as a word.

BEGIN { FS = "\t" }
FNR == 1 { file++ }

# The symbols. One that is declared first and defined later is one row, at its definition.
file == 1 {
    key = $1 == "field" ? $6 "." $2 : $2
    if ($1 == "field" && $6 !~ /_options$/) next
    if (!(key in kind)) order[++num] = key
    kind[key] = $1 == "field" || $2 ~ /_options$/ ? "option" : $1
    name[key] = $2
    header[key] = $3
    line[key] = $4
    if ($7 != "" || !(key in text)) text[key] = $7
    owner[key] = $6
    known[$2] = 1
    next
}

function tag(label,   value) {
    if (!match($0, "<" label ">[^<]*")) return ""
    return substr($0, RSTART + length(label) + 2, RLENGTH - length(label) - 2)
}
function attribute(label,   value) {
    if (!match($0, label "=\"[^\"]*\"")) return ""
    return substr($0, RSTART + length(label) + 2, RLENGTH - length(label) - 3)
}

# Doxygen's tags: compounds (structs, pages, files), their members, the values of their enums.
# (The file may be empty, and is then not seen: what follows is told by its name.)
FILENAME ~ /refrain\.tag$/ {
    if (/<compound /) { compound = attribute("kind"); this = ""; member = 0 }
    if (/<member /) { member = 1; anchor_file = "" }
    if (/<\/member>/) member = 0
    if (!member && /<name>/) this = tag("name")
    if (!member && /<filename>/) {
        html = tag("filename")
        if (html !~ /\.html$/) html = html ".html"
        if (compound == "struct") contract[this] = html
        if (compound == "page") page_of[this] = html
    }
    if (member && /<name>/) member_name = tag("name")
    if (member && /<anchorfile>/) anchor_file = tag("anchorfile")
    if (member && /<anchor>/) {
        place = anchor_file "#" tag("anchor")
        if (compound == "struct") contract[this "." member_name] = place
        else if (!(member_name in contract)) contract[member_name] = place
    }
    if (/<enumvalue /) contract[tag("enumvalue")] = attribute("file") "#" attribute("anchor")
    next
}

# Pages and tests: their words.
FNR == 1 {
    is_page = FILENAME ~ /^docs\//
    split("", had)
}
{
    rest = $0
    while (match(rest, /[A-Za-z_][A-Za-z_0-9]*/)) {
        word = substr(rest, RSTART, RLENGTH)
        before = RSTART > 1 ? substr(rest, RSTART - 1, 1) : ""
        rest = substr(rest, RSTART + RLENGTH)
        if (before == ".") sets[FILENAME, word] = 1    # a field of options, perhaps
        if (word in had) continue
        had[word] = 1
        if (!(word in known)) continue
        if (is_page) pages[word] = pages[word] FILENAME "\n"
        else tests[word] = tests[word] FILENAME "\n"
    }
    if (is_page && match($0, /include\/refrain\/[a-z_]+\.h/))
        page_of_header[substr($0, RSTART, RLENGTH)] = FILENAME "\n"
}

function html_text(text) {
    gsub(/&/, "\\&amp;", text)
    gsub(/</, "\\&lt;", text)
    gsub(/>/, "\\&gt;", text)
    return text
}

function page_link(path,   label, key) {
    label = path
    sub(/.*\//, "", label)
    sub(/\.md$/, "", label)
    key = path
    sub(/\.md$/, "", key)
    gsub(/\//, "_", key)
    key = "md_" key
    return "<a href=\"" (key in page_of ? page_of[key] : up path) "\">" label "</a>"
}

function test_link(path,   label) {
    label = path
    sub(/^tests\//, "", label)
    return "<a href=\"" up path "\">" label "</a>"
}

function row(key,   place, concept, list, found, i, n, part, mine) {
    place = key in contract ? contract[key] : up header[key]
    printf "<tr id=\"%s\"><td><a href=\"%s\"><code>%s</code></a>", key, place, key
    printf "<small><a href=\"%s\">%s:%s</a></small></td>", up header[key],
        substr(header[key], length("include/refrain/") + 1), line[key]
    printf "<td>%s</td>", html_text(text[key])

    concept = pages[name[key]]
    if (kind[key] == "option" && owner[key] != "") concept = pages[owner[key]]
    if (concept == "" && owner[key] != "") concept = pages[owner[key]]
    if (concept == "") concept = page_of_header[header[key]]
    n = split(concept, part, "\n")
    list = ""
    for (i = 1; i < n; i++) list = list (i > 1 ? ", " : "") page_link(part[i])
    printf "<td>%s</td>", list

    if (kind[key] == "option" && owner[key] != "") {
        # Whoever mentions the struct, or its initialiser, and sets the field.
        mine = owner[key]
        found = tests[mine]
        mine = toupper(mine) "_INIT"
        n = split(tests[mine], part, "\n")
        for (i = 1; i < n; i++)
            if (index("\n" found, "\n" part[i] "\n") == 0) found = found part[i] "\n"
        n = split(found, part, "\n")
        found = ""
        for (i = 1; i < n; i++) if ((part[i], name[key]) in sets) found = found part[i] "\n"
    } else found = tests[name[key]]
    n = split(found, part, "\n")
    list = ""
    for (i = 1; i < n; i++) list = list (i > 1 ? "<br>" : "") test_link(part[i])
    if (n > 4) list = "<details><summary>" (n - 1) " files</summary>" list "</details>"
    printf "<td>%s</td></tr>\n", list
}

function section(which, title,   i, j, n, sorted, swap) {
    n = 0
    for (i = 1; i <= num; i++) if (kind[order[i]] == which) sorted[++n] = order[i]
    if (!n) return
    if (which != "error")          # errors stay in the order of their numbers
        for (i = 2; i <= n; i++) {
            swap = sorted[i]
            for (j = i - 1; j > 0 && sorted[j] > swap; j--) sorted[j + 1] = sorted[j]
            sorted[j + 1] = swap
        }
    printf "<section><h2 id=\"kind-%s\">%s <small>%d</small></h2>\n<table>\n", which, title, n
    print "<tr><th>name, contract</th><th>in a sentence</th><th>concept</th><th>tests</th></tr>"
    for (i = 1; i <= n; i++) row(sorted[i])
    print "</table></section>"
}

END {
    print "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    print "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
    print "<title>Refrain: keywords</title>\n<style>"
    print ":root { color-scheme: light dark; --line: #d8dbe0; --dim: #5c6470; --back: #fff; --link: #0b57a4 }"
    print "@media (prefers-color-scheme: dark) { :root { --line: #3a3f47; --dim: #9aa3af; --back: #16181c; --link: #7db7f5 } }"
    print "body { font: 15px/1.45 system-ui, sans-serif; max-width: 76rem; margin: 0 auto; padding: 1rem; background: var(--back) }"
    print "a { color: var(--link); text-decoration: none } a:hover { text-decoration: underline }"
    print "nav { position: sticky; top: 0; background: var(--back); padding: .6rem 0; border-bottom: 1px solid var(--line); z-index: 1 }"
    print "nav a { margin-right: .9rem } input { font: inherit; padding: .25rem .5rem; width: 16rem; max-width: 100%; margin-right: .9rem }"
    print "table { border-collapse: collapse; width: 100%; table-layout: fixed }"
    print "th { text-align: left; font-weight: 600; color: var(--dim) }"
    print "th, td { padding: .35rem .6rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere }"
    print "th:nth-child(1) { width: 32% } th:nth-child(3) { width: 10% } th:nth-child(4) { width: 20% }"
    print "td small { display: block } td small a, h2 small, .note { color: var(--dim) } h2 small { font-weight: 400 }"
    print "tr:target { outline: 2px solid var(--link) } section, tr { scroll-margin-top: 4rem } h2 { scroll-margin-top: 3.5rem }"
    print "[hidden] { display: none }\n</style></head><body>"
    print "<h1>Refrain: every public name</h1>"
    print "<p>By kind. A name leads to its contract, the line below it to its header; then the page about the idea behind it, and the tests that use it." (note == "" ? " <a href=\"index.html\">The reference</a> has it all at length." : "") "</p>"
    if (note != "") print "<p class=\"note\">Here " html_text(note) ".</p>"
    print "<nav><input id=\"filter\" type=\"search\" placeholder=\"filter: rf_scope, limit ...\" aria-label=\"filter\">"
    print "<a href=\"#kind-type\">types</a><a href=\"#kind-function\">functions</a><a href=\"#kind-error\">errors</a><a href=\"#kind-option\">options</a><a href=\"#kind-macro\">macros</a><a href=\"#kind-value\">values</a><a href=\"#kind-object\">objects</a></nav>"
    section("type", "Types")
    section("function", "Functions")
    section("error", "Errors")
    section("option", "Options")
    section("macro", "Macros")
    section("value", "Values of enums")
    section("object", "Objects")
    print "<script>"
    print "const box = document.getElementById('filter');"
    print "box.addEventListener('input', () => {"
    print "    const words = box.value.toLowerCase().split(/\\s+/).filter(Boolean);"
    print "    for (const part of document.querySelectorAll('section')) {"
    print "        let shown = 0;"
    print "        for (const row of part.querySelectorAll('tr[id]')) {"
    print "            const text = (row.cells[0].textContent + ' ' + row.cells[1].textContent).toLowerCase();"
    print "            row.hidden = !words.every(word => text.includes(word));"
    print "            shown += !row.hidden;"
    print "        }"
    print "        part.hidden = !shown;"
    print "    }"
    print "});\n</script></body></html>"
}
