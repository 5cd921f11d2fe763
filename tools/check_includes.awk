# check_includes.awk: who may include whom.  Run over all C files:
#
#     awk -f tools/check_includes.awk src/*/*.[ch] cli/*.c ...
#
# A folder of src/ may include itself and what its line below names; anything
# else is an error.  The picture is in docs/design.md.
BEGIN {
    allow("base", "")
    allow("cpu", "base")
    allow("kernels", "base cpu")
    allow("graph", "base")
    allow("ops", "base cpu kernels graph")
    allow("passes", "base cpu kernels graph ops")
    allow("onnx", "base cpu kernels graph ops")
    allow("runtime", "base cpu kernels graph ops passes onnx")
    allow("image", "base")
    allow("card", "base")
    allow("data", "base")
    # tasks looks at graphs to infer cards, and runs them.
    allow("tasks", "base image card graph ops runtime")
    allow("backends", "base graph runtime")
    # Programs, and tests of the interface, are users like any other.
    users = "^(cli|server|tests/api)/"
}

function allow(dir, others) {
    known[dir] = 1
    allowed[dir, dir] = 1
    n = split(others, list, " ")
    for (i = 1; i <= n; i++) allowed[dir, list[i]] = 1
}

function wrong(why) {
    printf "    | %s:%d: %s: %s\n", FILENAME, FNR, why, $0
    bad = 1
}

/^ *# *include/ {
    quoted = $0 ~ /"/
    path = $0
    sub(/^[^"<]*["<]/, "", path)
    sub(/[">].*$/, "", path)
    inner = path
    sub(/\/.*$/, "", inner)
    if (path ~ /\.\.\//) wrong("a path upwards")
    if (FILENAME ~ users) {
        if (inner in known && path ~ /\//) wrong("not a public header")
    } else if (FILENAME ~ /^src\//) {
        split(FILENAME, part, "/")
        dir = part[2]
        if (!(dir in known)) {
            if (!told[dir]++)
                wrong("src/" dir " has no line in tools/check_includes.awk")
        } else if (quoted && inner in known && path ~ /\// &&
                   !((dir, inner) in allowed)) {
            wrong("src/" dir " may not include " inner)
        } else if (quoted && !(inner in known)) {
            wrong("write the folder too")
        }
    }
}

END { exit bad }
