#!/bin/sh
# test_help.sh: what the program says about itself, and about command lines
# that make no sense.
. "$(dirname "$0")/tap.sh"

verbs='run inspect classify detect segment restore eval bench seal devices conform'

# ---- help ------------------------------------------------------------------

passes "version is a number of three parts" '^ocelli [0-9]+\.[0-9]+\.[0-9]+$' \
    --version
passes "version has a short option" '^ocelli [0-9.]+$' -V
passes "help begins with what the program is" '^ocelli - ' --help
ok "help fits a terminal of 80 columns" not grep -E '.{81}' out

help_names_every_verb() {
    for verb in $verbs; do
        prints "^  $verb +[a-z]" || {
            echo "help does not name $verb"
            return 1
        }
    done
}
ok "help names every verb" help_names_every_verb

same_as_help() { # ARGS...
    mv out help
    run "$@"
    [ "$rc" -eq 0 ] && cmp help out
}
ok "help has a short option" same_as_help -h
ok "help is a verb, too" same_as_help help

run
ok "no verb at all shows the help and is a mistake" equal code "$rc" 2
ok "no verb at all prints on standard error only" not test -s out

for verb in $verbs; do
    passes "$verb --help tells how it is called" \
        "^usage: ocelli $verb \[OPTION...\]( [A-Z].*)?$" "$verb" --help
    ok "$verb --help fits, without blanks at the ends of lines" \
        not grep -E '.{81}|[[:blank:]]$' out
    ok "help $verb says the same" same_as_help help "$verb"
done

# ---- mistakes --------------------------------------------------------------

fails "an unknown verb is named" 2 'no verb "fly"; see ocelli --help' fly
fails "a misspelt verb gets a proposal" 2 'did you mean detect\?' detct
fails "an empty verb is shown as such" 2 'no verb ""' ''
fails "an unknown option before the verb is named" 2 'no option "--fly"' --fly
fails "help for an unknown verb is a mistake" 2 'no verb "fly"' help fly
fails "control characters do not reach the terminal" 2 'no verb "\?\[31mx"' \
    "$(printf '\033[31mx')"

for verb in $verbs; do
    fails "$verb names an option it has not" 2 "$verb has no option --fly" \
        "$verb" --fly
done
for verb in run inspect classify detect segment restore eval bench seal \
    conform; do
    fails "$verb without operands says what it wants" 2 \
        "too few operands: ocelli $verb [A-Z]" "$verb"
done
fails "devices takes no operand" 2 '"x" is one operand too many' devices x
fails "an unknown short option is named" 2 'run has no option -z' run -z x
fails "a value that is missing is asked for" 2 '--threads needs a value' \
    run x --threads
fails "a switch takes no value" 2 '--json takes no value' run --json=1 x
for value in 0 -1 x 1.5 99999999999999999999 ''; do
    fails "threads cannot be \"$value\"" 2 \
        '--threads takes a whole number from 1 to' bench x --threads "$value"
done
fails "a choice must be one there is" 2 '--cpu takes one of scalar\|' \
    run x --cpu fast
fails "a threshold is no more than one" 2 \
    '--threshold takes a number from 0 to 1, not "2"' \
    detect x y --threshold 2
fails "a threshold is a number" 2 'not "nan"' detect x y --threshold nan
fails "behind -- an option is an operand" 3 'cannot open --json' \
    inspect -- --json

# ---- manual page and completion --------------------------------------------

generated() { # KIND PATTERN
    run _docs "$1"
    ok "_docs $1 names every verb" all_verbs "$2"
}

all_verbs() {
    for verb in $verbs; do
        grep -q -e "$1$verb" out || {
            echo "$verb is not there"
            return 1
        }
    done
}

fails "_docs names what it can make" 2 'man\|bash\|zsh\|fish' _docs

generated man '^.SS "ocelli '
if command -v groff >/dev/null; then
    groff -man -Tascii -ww out >page 2>warnings
    ok "the manual page has no mistakes" not test -s warnings
    # Bold is struck twice, or an escape sequence, as groff's version likes.
    sed "s/.$(printf '\010')//g;s/$(printf '\033')\[[0-9;]*m//g" page >out
    ok "the manual page ends with exit codes and environment" \
        prints '^EXIT STATUS'
    ok "the manual page explains code 3" prints 'a bad model or bad data'
else
    skip "the manual page has no mistakes" "no groff"
fi

generated bash '[" ]'
cp out bash.completion
if command -v bash >/dev/null; then
    ok "the completion is bash" bash -n bash.completion
    complete_words() { # WORD...: what bash offers for the last one
        bash -c '. ./bash.completion
            COMP_WORDS=("$@")
            COMP_CWORD=$(($# - 1))
            _ocelli
            echo "${COMPREPLY[*]}"' - "$@" | sed 's/ *$//'
    }
    ok "bash completes a verb" equal words \
        "$(complete_words ocelli insp)" inspect
    ok "bash completes an option of a verb" equal words \
        "$(complete_words ocelli eval --da)" --data
    ok "bash completes the choices of an option" equal words \
        "$(complete_words ocelli run --optimize b)" basic
    : >a-file
    ok "bash completes files" equal words \
        "$(complete_words ocelli inspect a-f)" a-file
else
    skip "the completion is bash" "no bash"
fi

generated zsh "'"
if command -v zsh >/dev/null; then
    ok "the completion is zsh" zsh -n out
else
    skip "the completion is zsh" "no zsh"
fi

generated fish '-a '
if command -v fish >/dev/null; then
    ok "the completion is fish" fish -n out
else
    skip "the completion is fish" "no fish"
fi

tap_end
