# shellcheck shell=sh
# tap.sh: what the tests of the program share.  A test begins with
#
#     . "$(dirname "$0")/tap.sh"
#
# which goes to a fresh folder, and ends with tap_end.  In between:
#
#     passes NAME PATTERN ARGS...      `ocelli ARGS` ends with 0, prints PATTERN
#     fails NAME CODE PATTERN ARGS...  ... ends with CODE and one sentence
#     run ARGS...                      ... leaves out, err and $rc behind
#     ok NAME COMMAND...               COMMAND succeeds
#     json NAME EXPRESSION             Python's, about d, the JSON in out
#     skip NAME WHY
#
# model.sh makes models.  Patterns are extended regular expressions.  Results
# are compared with what the contract of the program, the file formats and the
# models' authors say.
set -u

. "$(dirname "$0")/model.sh"

tap_absolute() {
    case $1 in
    /*) echo "$1" ;;
    *) echo "$PWD/$1" ;;
    esac
}

OCELLI=$(tap_absolute "${OCELLI:-build/ocelli}")
shared=$(tap_absolute "${OC_SHARED:-../shared}")
models=$shared/models
# shellcheck disable=SC2034
images=$shared/images
python=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null) || python=
tap_dir=$(mktemp -d "${TMPDIR:-/tmp}/ocelli-cli.XXXXXX") || exit 1
trap 'cd / && rm -rf "$tap_dir"' EXIT
trap 'exit 1' HUP INT TERM
cd "$tap_dir" || exit 1
echo 0 >tap.n # a file, so that cases in a subshell count
# Neither a developer's terminal nor language may change what is printed.
unset NO_COLOR
export LC_ALL=C

# Leaves the whole test out where there are no models.
need_shared() {
    if [ ! -d "$models" ]; then
        echo "1..0 # SKIP no models in $shared"
        exit 77
    fi
}

tap_end() {
    echo "1..$(cat tap.n)"
    [ ! -e tap.failed ]
    exit
}

tap_next() { # the number of the next case, in $tap_n
    read -r tap_n <tap.n
    tap_n=$((tap_n + 1))
    echo $tap_n >tap.n
}

skip() { # NAME WHY
    tap_next
    echo "ok $tap_n - $1 # SKIP $2"
}

ok() { # NAME COMMAND...
    tap_name=$1
    shift
    tap_next
    if "$@" >tap.why 2>&1; then
        echo "ok $tap_n - $tap_name"
        return
    fi
    : >tap.failed
    echo "not ok $tap_n - $tap_name"
    {
        echo "wanted: $*"
        cat tap.why
        echo "last run: ocelli ${tap_args:-} (exit code ${rc:-})"
        head -n 8 err
        echo "standard output:"
        head -n 12 out
    } 2>/dev/null | cut -c1-200 | sed 's/^/#   /'
}

run() { # ARGS...
    rc=0
    tap_args=$*
    "$OCELLI" "$@" >out 2>err || rc=$?
}

passes() { # NAME PATTERN ARGS...
    tap_case=$1 tap_pattern=$2
    shift 2
    run "$@"
    ok "$tap_case" done_with "$tap_pattern"
}

fails() { # NAME CODE PATTERN ARGS...
    tap_case=$1 tap_code=$2 tap_pattern=$3
    shift 3
    run "$@"
    ok "$tap_case" refused "$tap_code" "$tap_pattern"
}

# ---- what `ok` may be given ------------------------------------------------

# The last run did its work, said PATTERN and complained of nothing.
done_with() { # PATTERN
    [ "$rc" -eq 0 ] && [ ! -s err ] && prints "$1"
}

# The last run ended with CODE and one sentence, which has PATTERN.
refused() { # CODE PATTERN
    if [ "$rc" -ne "$1" ]; then
        echo "exit code $rc, not $1"
        return 1
    fi
    if [ "$(wc -l <err)" -ne 1 ] || ! grep -q '^ocelli: [^ ]' err; then
        echo "not one sentence on standard error"
        return 1
    fi
    grep -Eq -- "$2" err
}

prints() { # PATTERN
    grep -Eq -- "$1" out
}

complains() { # PATTERN
    grep -Eq -- "$1" err
}

not() { # COMMAND...
    if "$@"; then return 1; fi
}

equal() { # WHAT IT-IS SHOULD-BE
    echo "$1: \"$2\", should be \"$3\""
    [ "$2" = "$3" ]
}

# DIR holds just the files NAMES.
holds() { # DIR NAME...
    # shellcheck disable=SC2012
    tap_list=$(cd "$1" && ls -A | tr '\n' ' ')
    shift
    tap_names="$* "
    [ $# -gt 0 ] || tap_names=
    equal "the files" "$tap_list" "$tap_names"
}

# ---- JSON ------------------------------------------------------------------

json() { # NAME EXPRESSION
    if [ -z "$python" ]; then
        skip "$1" "no python3"
    else
        ok "$1" json_holds "$2"
    fi
}

# NaN is no JSON, and a key given twice is a mistake of ours.
json_holds() { # EXPRESSION
    "$python" -c '
import json, sys
def pairs(p):
    assert len(dict(p)) == len(p), "a key stands twice"
    return dict(p)
def constant(name):
    raise ValueError(name + " is no JSON")
def near(a, b, by=0.01):
    return abs(a - b) <= by
with open("out", encoding="utf-8") as f:
    d = json.load(f, object_pairs_hook=pairs, parse_constant=constant)
value = eval("(" + sys.argv[1] + ")")
print("it is", value)
sys.exit(not value)' "$1"
}

# ---- pictures --------------------------------------------------------------

# The header of a PNG: "WIDTH x HEIGHT, DEPTH bit, colour type TYPE".
png_header() { # FILE
    # shellcheck disable=SC2046
    set -- $(od -An -v -tu1 -j16 -N10 "$1")
    echo "$(($1 * 16777216 + $2 * 65536 + $3 * 256 + $4)) x" \
        "$(($5 * 16777216 + $6 * 65536 + $7 * 256 + $8)), $9 bit," \
        "colour type ${10}"
}

# A PPM of WIDTH x HEIGHT, its left half of one colour, the rest of another:
# three octal bytes each, as \377\000\000.
make_ppm() { # FILE WIDTH HEIGHT LEFT RIGHT
    printf 'P6\n%d %d\n255\n' "$2" "$3" >"$1"
    tap_row=
    tap_x=0
    while [ "$tap_x" -lt "$2" ]; do
        if [ "$tap_x" -lt $(($2 / 2)) ]; then
            tap_row="$tap_row$4"
        else
            tap_row="$tap_row$5"
        fi
        tap_x=$((tap_x + 1))
    done
    tap_y=0
    while [ "$tap_y" -lt "$3" ]; do
        # shellcheck disable=SC2059
        printf "$tap_row" >>"$1"
        tap_y=$((tap_y + 1))
    done
}

# Labelled pictures in FOLDER/{train,val}: two classes that differ by their
# colours, each picture a little otherwise.
make_tints() { # FOLDER
    for tap_part in train:12 val:4; do
        tap_left=${tap_part#*:} tap_part=$1/${tap_part%:*}
        mkdir -p "$tap_part/warm" "$tap_part/cold"
        while [ "$tap_left" -gt 0 ]; do
            tap_shade=$(printf '\\%03o' $((tap_left * 9)))
            make_ppm "$tap_part/warm/$tap_left.ppm" 24 20 "\377$tap_shade\020" \
                "\300\100$tap_shade"
            make_ppm "$tap_part/cold/$tap_left.ppm" 20 24 "\020$tap_shade\377" \
                "$tap_shade\100\300"
            tap_left=$((tap_left - 1))
        done
    done
}
