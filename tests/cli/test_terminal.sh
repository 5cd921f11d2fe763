#!/bin/sh
# test_terminal.sh: colours and progress are for terminals only.
. "$(dirname "$0")/tap.sh"

red='\377\000\000'
model "$(node GlobalAveragePool p x)$(node Flatten y p)" \
    "$(input x 1 1 3 8 8)" "$(output y 1 1 3)" >colour.onnx
mkdir pictures
for i in 1 2 3 4; do
    make_ppm pictures/$i.ppm 8 8 "$red" "$red"
done
: >pictures/zero.png
escape=$(printf '\033')

# ---- without a terminal ----------------------------------------------------

run bench colour.onnx --time 0.3
ok "no bar where standard error is no terminal" not test -s err
run --help
ok "no colours where standard output is no terminal" \
    not grep -q "$escape" out
run classify colour.onnx pictures
ok "none among results either" not grep -q "$escape" out err

# ---- with one --------------------------------------------------------------

# util-linux's script gives a command a terminal; others take other words.
if ! script -qec true /dev/null >/dev/null 2>&1; then
    skip "a bar where standard error is a terminal" "no script of util-linux"
    tap_end
fi
# on_terminal COMMAND: out is what a terminal saw, with a new line for each
# return to the start of one.
on_terminal() {
    tap_args="$1 (on a terminal)"
    rc=0
    TERM=${term-xterm} script -qec "$1" /dev/null </dev/null >seen || rc=$?
    tr '\r' '\n' <seen >out
    : >err
}
bar='^.\[Kbench  \[#*-*\]  [0-9]+/[0-9]+  [0-9.]+/s  ETA [0-9]+:[0-9][0-9]'

on_terminal "$OCELLI bench colour.onnx --time 0.5"
ok "a bar where standard error is a terminal" prints "$bar"
ok "the bar is taken away" prints '^.\[Kload '
on_terminal "$OCELLI bench colour.onnx --time 0.5 2>/dev/null"
ok "no bar where standard error is elsewhere" not grep -q 'ETA' out
on_terminal "$OCELLI bench colour.onnx --time 0.5 --quiet"
ok "no bar with --quiet" not grep -q 'ETA' out
term=dumb
on_terminal "$OCELLI bench colour.onnx --time 0.5"
ok "no bar on a dumb terminal" not grep -q 'ETA' out
ok "no colours on a dumb terminal" not grep -q "$escape" out
unset term

on_terminal "$OCELLI --help"
ok "colours on a terminal" grep -q "$escape" out
on_terminal "NO_COLOR=1 $OCELLI --help"
ok "no colours with NO_COLOR" not grep -q "$escape" out
on_terminal "NO_COLOR= $OCELLI --help"
ok "colours with an empty NO_COLOR" grep -q "$escape" out

on_terminal "$OCELLI classify colour.onnx pictures"
ok "a bar for many pictures" \
    prints 'classify  \[#+-*\]  [1-5]/5  [0-9.]+/s  ETA'
ok "errors begin where a line begins" prints '^(.\[K)?ocelli: pictures/zero.png'
ok "results begin where a line begins" prints '^(.\[K)?.\[1mpictures/4.ppm'
on_terminal "$OCELLI classify colour.onnx pictures/1.ppm"
ok "no bar for one picture" not grep -q 'ETA' out

tap_end
