# length.awk: files over 800 lines and functions over 80, longest things a
# reader meets.  Relies on clang-format: a function opens with `{` at the end
# of a line that does not start with a blank, and closes with `}` alone.
FNR == 1 {
    if (previous && lines > 800)
        printf "    long file: %s (%d lines)\n", previous, lines
    previous = FILENAME
    open = 0
}
{ lines = FNR }
/^[a-zA-Z].*\($/ || /^[a-zA-Z_].*\(.*[,)]? *\{?$/ {
    head = $0
    sub(/\(.*/, "", head)
    sub(/.*[ *]/, "", head)
}
/\) \{$/ && !open && (/^[a-zA-Z]/ || /^ +[a-zA-Z].*\) \{$/) {
    open = FNR
    name = head
}
/^}/ && open {
    if (FNR - open > 80)
        printf "    long function: %s:%d %s (%d lines)\n", FILENAME, open,
               name, FNR - open
    open = 0
}
END {
    if (lines > 800)
        printf "    long file: %s (%d lines)\n", previous, lines
}
