# shellcheck shell=sh
# fuzz.sh: libFuzzer runs.  What is found goes to build/fuzz-found; put it in
# fuzz/corpus/TARGET with the fix, and every check replays it from then on.

fuzz() {
    need_for build fuzz
    say "building the fuzz targets"
    build_preset fuzz || die "the fuzz build failed"
    seconds=${2:-600}
    if [ $# -gt 0 ] && [ "$1" != all ]; then
        [ -x "build/fuzz/fuzz_$1" ] ||
            die "no target \"$1\"; there are: $(fuzz_targets | tr '\n' ' ')"
        set -- "$1"
    else
        # shellcheck disable=SC2046
        set -- $(fuzz_targets)
    fi
    say "fuzzing $* for $seconds s each, $jobs at a time"
    rm -rf build/fuzz-failed
    mkdir -p build/fuzz-found build/fuzz-failed "$logs"
    running=0
    for target in "$@"; do
        fuzz_one "$target" "$seconds" &
        running=$((running + 1))
        [ $((running % jobs)) -ne 0 ] || wait
    done
    wait
    if [ -n "$(ls build/fuzz-failed)" ]; then
        die "found something in: $(ls build/fuzz-failed | tr '\n' ' ')"
    fi
    say "nothing found"
}

fuzz_targets() {
    for file in fuzz/fuzz_*.c; do
        name=${file#fuzz/fuzz_}
        echo "${name%.c}"
    done
}

# New inputs are kept in build/fuzz-corpus between runs; the tree's own corpus
# is only read.
fuzz_one() { # TARGET SECONDS
    new=build/fuzz-corpus/$1
    old=fuzz/corpus/$1
    mkdir -p "$new"
    [ -d "$old" ] || old=
    dict=fuzz/$1.dict
    [ ! -f "$dict" ] || dict="-dict=$dict"
    [ "${dict#-}" != "$dict" ] || dict=
    # shellcheck disable=SC2086
    if "build/fuzz/fuzz_$1" -max_total_time="$2" -timeout=20 \
        -rss_limit_mb=2048 -artifact_prefix="build/fuzz-found/$1-" $dict \
        "$new" $old >"$logs/fuzz-$1.log" 2>&1; then
        note "$1: $(sed -n 's/^Done \([0-9]* runs\).*/\1/p' "$logs/fuzz-$1.log"), nothing found"
    else
        touch "build/fuzz-failed/$1"
        note "$1: FOUND SOMETHING, see $logs/fuzz-$1.log"
        grep -m 3 -E 'ERROR|Test unit|runtime error' "$logs/fuzz-$1.log" |
            sed 's/^/    | /'
    fi
}
