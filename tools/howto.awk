# howto.awk: takes the code out of a how-to, so that it can be tried.
#
#     awk -v out=DIR -f tools/howto.awk docs/howto-x.md
#
# A block that opens with ```c PATH is the new file DIR/PATH; the ```diff
# blocks, one behind the other, become DIR/howto.patch.
/^```c [a-z]/ {
    file = out "/" $2
    folder = file
    sub(/\/[^\/]*$/, "", folder)
    system("mkdir -p " folder)
    printf "" >file
    next
}
/^```diff/ {
    file = out "/howto.patch"
    next
}
/^```/ {
    if (file) close(file)
    file = ""
    next
}
file && file ~ /howto\.patch$/ { print >>file; next }
file { print >file }
