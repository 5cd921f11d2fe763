# count.awk: from `ctest -V` output to single test cases.
#
# Prints "PASSED FAILED SKIPPED", then one line per failure.  Test programs
# speak TAP; ctest puts "NUMBER: " before each of their lines and ends each
# program with a line of its own:
#
#     12: 1..3
#     12: ok 1 - first            not ok 2 # SKIP second (cmocka's way)
#     7/30 Test #12: unit.base ....   Passed    0.01 sec
#
# A program without TAP is one case.  One that dies, or reports fewer cases
# than it planned, fails once more than its lines say.
function outcome(text) {
    if (text ~ /# SKIP/) return "skip"
    return text ~ /(^|[^a-z])not ok [0-9]/ ? "fail" : "pass"
}

/^ *[0-9]+: / {
    id = $1 + 0
    text = $0
    sub(/^ *[0-9]+: /, "", text)
    if (text ~ /^1\.\.[0-9]+/) {
        sub(/^1\.\./, "", text)
        plan[id] += text
        next
    }
    # Not at the line's start: a test may have printed without a newline.
    if (match(text, /(not )?ok [0-9]+ (- |# SKIP)/)) {
        what = outcome(text)
        seen[id, what]++
        cases[id]++
        if (what == "fail")
            failures[id] = failures[id] "\n" substr(text, RSTART)
    }
    next
}

/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
    id = $0
    sub(/^[^#]*#/, "", id)
    id += 0
    name[id] = $4
    if ($0 ~ /\*\*\*Skipped/) status[id] = "skip"
    else if ($0 ~ / Passed /) status[id] = "pass"
    else status[id] = "fail"
    verdict[id] = $0
    sub(/^.*\.\.+ */, "", verdict[id])
}

END {
    for (id in name) {
        failed = seen[id, "fail"]
        passed += seen[id, "pass"]
        skipped += seen[id, "skip"]
        if (status[id] == "skip" && !cases[id]) skipped++
        if (status[id] == "pass" && !cases[id]) passed++
        lost = plan[id] > cases[id]
        if (!failed && (status[id] == "fail" || lost)) {
            failed = 1
            failures[id] = "\nthe program: " \
                (status[id] == "fail" ? verdict[id] : "cases went missing")
        }
        total += failed
        n = split(failures[id], lines, "\n")
        for (i = 2; i <= n; i++)
            report = report name[id] ": " lines[i] "\n"
    }
    printf "%d %d %d\n%s", passed, total, skipped, report
}
