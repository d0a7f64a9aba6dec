# docs-headers.awk: reads our headers as they are written, with plain comments, for scripts/docs.sh.
#   awk -v mode=filter -v symbols=LIST -f ... HEADER   the header with comments for doxygen, in which
#                                          names of LIST (may be left out) are links
#   awk -v mode=symbols -f ... HEADER...   one line per public symbol, fields separated by tabs:
#                                          kind, name, header, line, documented (0, 1), owner, text
# Kinds: function, object, type, error, value (of an enum), field (of a struct), macro.
#
# What belongs to what:
#   - the first comment of a file is the file's
#   - a comment directly above a declaration is its contract, and that of those right below it (no
#     blank line between) until one has a comment of its own
#   - a comment behind a declaration, a field or a value is its own
#   - a rule, "/* ---- name ---- */", heads a section and documents nothing
# clang-format keeps declarations of file scope in the first column, and what is inside them out of
# it; that is all that is known of C here.

BEGIN {
    # Names that other comments may link: a list that this made before.
    while (mode == "filter" && symbols != "" && (getline line < symbols) > 0) {
        split(line, part, "\t")
        if (part[1] != "field") known[part[2]] = 1
    }
    # Macros that a header takes back are not public.
    for (i = 1; i < ARGC; i++) {
        while ((getline line < ARGV[i]) > 0)
            if (sub(/^#undef +/, "", line)) private[line] = 1
        close(ARGV[i])
    }
}

FNR == 1 {
    base = FILENAME
    sub(/.*\//, "", base)
    first = 1
    lead = group = comment = ""
    in_comment = lines = depth = 0
}

# plain(text): a comment without its marks.
function plain(text) {
    sub(/^[ \t]*\/\* ?/, "", text)
    sub(/[ \t]*\*\/[ \t]*$/, "", text)
    gsub(/\n[ \t]*\* ?/, "\n", text)
    gsub(/[ \t]+\n/, "\n", text)
    sub(/^\n+/, "", text)
    sub(/[ \t\n]+$/, "", text)
    return text
}

# escaped(text): for doxygen, with names that are known as links.
function escaped(text,   out, word, before, after) {
    gsub(/[\\@&<>#%*]/, "\\\\&", text)
    while (match(text, /[A-Za-z_][A-Za-z_0-9]*/)) {
        word = substr(text, RSTART, RLENGTH)
        before = RSTART > 1 ? substr(text, RSTART - 1, 1) : " "
        after = substr(text, RSTART + RLENGTH, 1)
        out = out substr(text, 1, RSTART - 1)
        out = out (word in known && before ~ /[ (]/ && after ~ /^[ ,:;)]?$/ ? "#" : "") word
        text = substr(text, RSTART + RLENGTH)
    }
    return out text
}

# marked(text): a plain comment for doxygen: paragraphs flow, but what is laid out by hand (lists,
# tables, programs) keeps its lines.
function marked(text,   part, num, i, out, kept, list) {
    num = split(text, part, "\n")
    out = ""
    kept = list = 0
    for (i = 1; i <= num; i++) {
        if (part[i] == "") {
            out = out (kept ? "</pre>" : "") "\n\n"
            kept = list = 0
            continue
        }
        if (part[i] ~ /^ *- /) list = 1                     # doxygen knows lists
        if (!kept && !list && part[i] ~ /^ |^[a-z]+: |[^.] [ ]+[^ ]/) {
            out = out "<pre class=\"fragment\">"
            kept = 1
        }
        out = out escaped(part[i]) (i < num && part[i + 1] != "" ? "\n" : "")
    }
    return out (kept ? "</pre>" : "")
}

# sentence(text): the first of a plain comment, on one line.
function sentence(text) {
    sub(/\n\n.*/, "", text)
    gsub(/[ \t\n]+/, " ", text)
    if (match(text, /\. [A-Z]/)) text = substr(text, 1, RSTART)
    return text
}

function doc(text) {
    if (mode == "filter" && text != "") print "/** " marked(text) " */"
}

function symbol(kind, name, line, text, owner) {
    if (mode != "symbols") return
    print kind "\t" name "\t" FILENAME "\t" line "\t" (text != "") "\t" owner "\t" sentence(text)
}

function value_kind(name) {
    return name ~ /^RF_(OK$|E_)/ ? "error" : "value"
}

# split_comment(text): sets code and behind, the comments of one line.
function split_comment(text) {
    code = text
    behind = ""
    while (match(code, /\/\*([^*]|\*+[^*\/])*\*+\//)) {
        behind = behind (behind == "" ? "" : " ") plain(substr(code, RSTART, RLENGTH))
        code = substr(code, 1, RSTART - 1) substr(code, RSTART + RLENGTH)
    }
    sub(/[ \t]+$/, "", code)
}

function comment_ends(   text) {
    in_comment = 0
    text = plain(comment)
    lead = group = ""
    if (first) {
        sub("^" base ": ", "", text)
        if (mode == "filter") print "/** \\file " base "\n" marked(text) " */"
    } else if (text !~ /^----/) lead = text
    first = 0
}

# took(own): what documents the declaration that just ended, and what those below it inherit.
function took(own,   text) {
    text = lead != "" ? lead : own == "" ? group : ""
    if (own != "") {
        text = text (text == "" ? "" : "\n\n") own
        group = ""
    } else group = text
    lead = ""
    return text
}

in_comment {
    comment = comment "\n" $0
    if (/\*\//) comment_ends()
    next
}
!lines && /^\/\*/ {
    comment = $0
    in_comment = 1
    if (/\*\//) comment_ends()
    next
}
!lines && /^[ \t]*$/ {
    lead = group = ""
    if (mode == "filter") print
    next
}
!lines && /^(extern "C" \{|\})$/ {
    if (mode == "filter") print
    next
}

# Macros; a table of statuses gives its rows to the enum that follows it.
!lines && /^#define / { macro = 1; macro_text = ""; macro_line = FNR; own = ""; line_of = FNR }
macro {
    split_comment($0)
    own = own (own != "" && behind != "" ? " " : "") behind
    macro_text = macro_text code "\n"
    if (match(code, /^ +X\(RF_[A-Z_0-9]+, -?[0-9]+, "[^"]*"\)/)) {
        row = substr(code, RSTART, RLENGTH)
        sub(/^ +X\(/, "", row)
        num_rows++
        row_name[num_rows] = row_number[num_rows] = row_text[num_rows] = row
        sub(/,.*/, "", row_name[num_rows])
        sub(/^[^,]*, */, "", row_number[num_rows])
        sub(/,.*/, "", row_number[num_rows])
        sub(/^[^"]*"/, "", row_text[num_rows])
        sub(/".*/, "", row_text[num_rows])
        row_line[num_rows] = FNR
    }
    if (code ~ /\\$/) next
    macro = 0
    name = macro_text
    sub(/^#define +/, "", name)
    match(name, /^[A-Za-z_0-9]+/)
    name = substr(name, 1, RLENGTH)
    if (name in private || name !~ /^RF_/) next
    text = took(own)
    doc(text)
    if (mode == "filter") printf "%s", macro_text
    if (!(name in seen)) symbol("macro", name, macro_line, text, "")
    seen[name] = 1
    next
}
!lines && /^#/ {
    lead = group = ""
    if (match($0, /defined\(RF_[A-Z_]+\)/)) {
        name = substr($0, RSTART + 8, RLENGTH - 9)
        if (!(name in seen)) symbol("macro", name, FNR, "", "")
        seen[name] = 1
    }
    if (mode == "filter") print
    next
}

# Declarations: gathered until the semicolon outside of braces.
{
    if (!lines) { inside = 0; start = FNR; all = own = "" }
    lines++
    raw[lines] = $0
    number[lines] = FNR
    if (inside) {
        of_code[lines] = ""
        of_text[lines] = ""
        above[lines] = 1
        if (/\*\//) inside = 0
        next
    }
    split_comment($0)
    above[lines] = code ~ /^[ \t]*$/ || code ~ /^[ \t]*\/\*/
    if (code ~ /\/\*/) { inside = 1; code = "" }
    of_code[lines] = code
    of_text[lines] = above[lines] ? "" : behind
    if (depth == 0 && code !~ /[{}]/ && behind != "") own = own (own == "" ? "" : " ") behind
    all = all " " code
    text = code
    depth += gsub(/\{/, "", text) - gsub(/\}/, "", text)
    if (depth > 0 || code !~ /;$/) next
    declared()
    lines = 0
}

function declared(   text, name, body, i) {
    sub(/^ +/, "", all)
    body = index(all, "{") > 0
    text = took(own)
    if (body && all ~ /^(typedef )?(enum|struct) /) {
        name = all
        sub(/^(typedef )?(enum|struct) /, "", name)
        sub(/ .*/, "", name)
        symbol("type", name, start, text, "")
        doc(text)
        if (all ~ /^(typedef )?enum/) members_of_enum(name)
        else members_of_struct(name)
        return
    }
    name = all
    if (all ~ /^RF_API/) {
        if (match(name, /rf_[A-Za-z_0-9]+\(/)) {
            name = substr(name, RSTART, RLENGTH - 1)
            symbol("function", name, start, text, "")
        } else {
            sub(/ *(\[[^]]*\])*;$/, "", name)
            sub(/.*[ *]/, "", name)
            symbol("object", name, start, text, "")
        }
    } else if (match(name, /\(\*rf_[A-Za-z_0-9]+\)/)) {
        symbol("type", substr(name, RSTART + 2, RLENGTH - 3), start, text, "")
    } else {
        sub(/ *;$/, "", name)
        sub(/.*[ *]/, "", name)
        symbol("type", name, start, text, "")
    }
    doc(text)
    if (mode == "filter")
        for (i = 1; i <= lines; i++) print of_code[i]
}

# The lines of a declaration with a body, with its comments marked.
function print_body(   i, block) {
    for (i = 1; i <= lines; i++) {
        if (above[i]) {
            block = raw[i]
            while (block !~ /\*\// && i < lines) block = block "\n" raw[++i]
            doc(plain(block))
        } else if (of_text[i] != "" && of_code[i] !~ /[{}]/)
            print of_code[i] " /**< " escaped(of_text[i]) " */"
        else
            print of_code[i]
    }
}

# note(line): the comment of a line of a body: behind it, or above it.
function note(line,   block, i) {
    if (of_text[line] != "") return of_text[line]
    if (line < 2 || !above[line - 1]) return ""
    for (i = line - 1; i > 1 && above[i - 1]; i--) continue
    for (block = ""; i < line; i++) block = block (block == "" ? "" : "\n") raw[i]
    return plain(block)
}

function members_of_enum(owner,   i, j, num, part, text, from_table) {
    from_table = all ~ /\{ RF_[A-Z]+_TABLE\(/
    if (from_table) {
        for (i = 1; i <= num_rows; i++)
            symbol(value_kind(row_name[i]), row_name[i], row_line[i], row_text[i], owner)
        if (mode == "filter") {
            print "typedef enum " owner " {"
            for (i = 1; i <= num_rows; i++)
                print row_name[i] " = " row_number[i] ", /**< " escaped(row_text[i]) " */"
        }
        num_rows = 0
    }
    for (i = 1; i <= lines; i++) {
        text = of_code[i]
        sub(/^.*\{/, "", text)
        if (text == of_code[i] && i == 1) continue
        sub(/\}.*/, "", text)
        sub(/RF_[A-Z]+_TABLE\([A-Z_]*\)/, "", text)
        if (from_table && mode == "filter") print text
        num = split(text, part, ",")
        for (j = 1; j <= num; j++) {
            sub(/=.*/, "", part[j])
            gsub(/[ \t]/, "", part[j])
            if (part[j] ~ /^RF_/) symbol(value_kind(part[j]), part[j], number[i], note(i), owner)
        }
    }
    if (mode != "filter") return
    if (from_table) print "} " owner ";"
    else print_body()
}

function members_of_struct(owner,   i, j, num, part, text, begun) {
    if (mode == "filter") print_body()
    for (i = 2; i < lines; i++) {
        if (above[i]) continue
        if (begun == 0) { text = ""; begun = i }
        text = text of_code[i]
        if (text !~ /;$/) continue
        if (match(text, /\(\*(const )?[A-Za-z_0-9]+\)/)) {
            text = substr(text, RSTART + 2, RLENGTH - 3)
            sub(/^const /, "", text)
        }
        num = split(text, part, ",")
        for (j = 1; j <= num; j++) {
            sub(/;$/, "", part[j])
            gsub(/\[[^]]*\]/, "", part[j])
            sub(/.*[ *]/, "", part[j])
            if (part[j] != "") symbol("field", part[j], number[begun], note(begun), owner)
        }
        begun = 0
    }
}
