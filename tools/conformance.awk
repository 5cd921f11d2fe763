# conformance.awk: docs/conformance.md from what `ocelli conform --json` wrote.
#
#     awk -f tools/conformance.awk onnx-1.12.json onnx-1.20.json
#
# A file's name is the suite's.  A node test counts for the operator it is of:
# the first of its model, or the one that is missing.
function value(line) {
    sub(/^[^:]*: "?/, "", line)
    sub(/"?,?$/, "", line)
    gsub(/\\"/, "\"", line)
    return line
}

function operator_of_case() {
    if (name ~ /_expanded/) return "functions, expanded"
    if (first != "") return first
    if (match(reason, /operator [A-Za-z0-9_.]+ of domain [a-z.]+/)) {
        split(substr(reason, RSTART, RLENGTH), word, " ")
        return (word[5] == "ai.onnx" ? "" : word[5] ".") word[2]
    }
    return "constants, folded"
}

function count(table, row, suite, outcome) {
    seen[table, row] = 1
    total[table, row, suite]++
    result[table, row, suite, outcome]++
}

FNR == 1 {
    suite = FILENAME
    sub(/.*\//, "", suite)
    sub(/\.json$/, "", suite)
    suites[++n_suites] = suite
}
/^      "name": / { name = value($0); first = reason = "" }
/^      "model": / {
    folder = value($0)
    sub(/\/[^\/]*$/, "", folder)        # light/light_x.onnx
    if (folder !~ /\/light$/) sub(/\/[^\/]*$/, "", folder)
    sub(/.*\//, "", folder)
}
/^      "operators": / { in_operators = 1 }
in_operators && /^        "/ && first == "" {
    first = $0
    gsub(/[ ",]/, "", first)
}
/^      "outcome": / { in_operators = 0; outcome = value($0) }
/^      "reason": / { reason = value($0) }
/^      "time_ms": / {
    count("folder", folder, suite, outcome)
    if (folder == "node") count("operator", operator_of_case(), suite, outcome)
    if (outcome != "passed") {
        gsub(/\|/, "\\|", reason)
        lost[++n_lost] = "| " suite " | " name " | " outcome " | " reason " |"
    }
}

# How many of how many: bare when all, since that is what one expects.
function cell(table, row, s,    all, good) {
    all = total[table, row, s]
    good = result[table, row, s, "passed"] + 0
    if (!all) return "-"
    return good == all ? all : "**" good " of " all "**"
}

function print_table(table, title,    i, row, line, n, rows, key, part) {
    line = "| " title " |"
    for (i = 1; i <= n_suites; i++) line = line " " suites[i] " |"
    print line
    gsub(/[^|]+/, "---:", line)
    sub(/---:/, "---", line)
    print line
    n = 0
    for (key in seen) {
        split(key, part, SUBSEP)
        if (part[1] == table) rows[++n] = part[2]
    }
    sort(rows, n)
    for (row = 1; row <= n; row++) {
        line = "| " rows[row] " |"
        for (i = 1; i <= n_suites; i++)
            line = line " " cell(table, rows[row], suites[i]) " |"
        print line
    }
    print ""
}

function sort(a, n,    i, j, t) {
    for (i = 2; i <= n; i++) {
        t = a[i]
        for (j = i - 1; j > 0 && a[j] > t; j--) a[j + 1] = a[j]
        a[j + 1] = t
    }
}

END {
    print "# Conformance\n"
    print "Made by `./dev docs` from `ocelli conform --json` over ONNX's " \
        "backend tests:\nthose of Debian's package libonnx-testdata, and " \
        "those of a newer release. A number\nis how many cases there are, " \
        "all of which pass unless it says otherwise.\n"
    print_table("folder", "folder")
    print "## Node tests by operator\n"
    print_table("operator", "operator")
    print "## Not passed\n"
    if (!n_lost) print "None."
    else print "| suite | case | | why |\n|---|---|---|---|"
    for (i = 1; i <= n_lost; i++) print lost[i]
}
