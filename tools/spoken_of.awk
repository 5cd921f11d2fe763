# spoken_of.awk: prints "PAGE: FILE" for every file of this tree that a text
# speaks of: the targets of links, and names like src/ops/op.h anywhere.  A
# capital letter in a name stands for something (tests/unit/test_X.c).
BEGIN {
    name = "(src|include|cli|tests|tools|docs|fuzz|bench|cmake)" \
        "/[a-z0-9_/-]+\\.(c|h|def|inc|md|awk|sh|py|txt|cmake|in)"
}
FNR == 1 {
    folder = FILENAME
    if (!sub(/\/[^\/]*$/, "/", folder)) folder = ""
}
FILENAME ~ /\.md$/ {
    rest = $0
    while (match(rest, /\]\([^)]*\)/)) {
        link = substr(rest, RSTART + 2, RLENGTH - 3)
        rest = substr(rest, RSTART + RLENGTH)
        sub(/#.*/, "", link)
        if (link != "" && link !~ /^[a-z]+:/) print FILENAME ": " folder link
    }
}
{
    rest = $0
    while (match(rest, name)) {
        before = RSTART > 1 ? substr(rest, RSTART - 1, 1) : " "
        after = substr(rest, RSTART + RLENGTH, 1)
        if (before !~ /[A-Za-z0-9_\/.*]/ && after !~ /[A-Za-z0-9_]/)
            print FILENAME ": " substr(rest, RSTART, RLENGTH)
        rest = substr(rest, RSTART + RLENGTH)
    }
}
