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
    allow("page", "base")
    allow("quant", "base cpu kernels graph ops passes onnx runtime page")
    # data loads pictures, and changes them for training.
    allow("data", "base image")
    allow("words", "base")
    allow("speech", "base")
    allow("video", "base")
    allow("train", "base cpu kernels graph ops passes onnx runtime arch image " \
                   "card data tasks page quant")
    # tasks looks at graphs to infer cards, runs and differentiates them.
    allow("tasks", "base cpu image card graph ops passes runtime")
    allow("arch", "base graph ops")
    allow("backends", "base graph runtime")
    # Programs, and tests of the interface, are users like any other.
    users = "^(cli|common|server|tests/api)/"
    # The program and its server share common/, which knows neither.
    beside["cli"] = "cli common"
    beside["server"] = "server common"
    beside["common"] = "common"
}

function allow(dir, others) {
    known[dir] = 1
    allowed[dir, dir] = 1
    n = split(others, list, " ")
    for (i = 1; i <= n; i++) allowed[dir, list[i]] = 1
}

function is_beside(dirs, path,    list, n, i, line, there) {
    n = split(dirs, list, " ")
    for (i = 1; i <= n; i++) {
        there = (getline line < (list[i] "/" path)) >= 0
        close(list[i] "/" path)
        if (there) return 1
    }
    return 0
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
        dir = FILENAME
        sub(/\/.*/, "", dir)
        # server.h is the one door from the program into its server.
        if (quoted && dir in beside && !is_beside(beside[dir], path) &&
            !(dir == "cli" && path == "server.h"))
            wrong(dir " has no such header to include")
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
