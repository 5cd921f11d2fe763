# shellcheck shell=sh
# common.sh: messages, logged commands, counts of test cases.

shared=${OC_SHARED:-../shared}
jobs=${OC_JOBS:-$(nproc)}
cache=build/cache # downloads, kept between runs
logs=build/logs

# ccache makes the many builds of a check cheap; without it all still works.
# Paths below here are relative to it, so that another clone finds the same.
if command -v ccache >/dev/null 2>&1; then
    CMAKE_C_COMPILER_LAUNCHER=${CMAKE_C_COMPILER_LAUNCHER-ccache}
    CCACHE_BASEDIR=${CCACHE_BASEDIR-$PWD}
    CCACHE_NOHASHDIR=${CCACHE_NOHASHDIR-1}
    export CMAKE_C_COMPILER_LAUNCHER CCACHE_BASEDIR CCACHE_NOHASHDIR
fi

if [ -t 1 ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m') red=$(printf '\033[31m')
else
    bold='' plain='' red=''
fi

say() {
    printf '%s==>%s %s\n' "$bold" "$plain" "$*"
}

note() {
    printf '    %s\n' "$*"
}

die() {
    printf '%sdev: %s%s\n' "$red" "$*" "$plain" >&2
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# logged NAME COMMAND...: runs it quietly; on failure shows the end of its log.
logged() {
    log=$logs/$1.log
    shift
    mkdir -p "$logs"
    if "$@" >"$log" 2>&1; then
        return 0
    fi
    note "failed: $*"
    tail -n 15 "$log" | sed 's/^/    | /'
    note "the whole log: $log"
    return 1
}

# ---- counts ---------------------------------------------------------------
# Each stage adds lines "passed failed skipped" to one file; tally sums them.
counts=build/logs/counts

count() { # STAGE PASSED FAILED SKIPPED [WHY SKIPPED]
    mkdir -p "$logs"
    echo "$2 $3 $4" >>"$counts"
    line="$2 passed, $3 failed"
    [ "$4" -eq 0 ] || line="$line, $4 skipped"
    [ -z "${5:-}" ] || line="$line ($5)"
    [ "$3" -eq 0 ] || line="$red$line$plain"
    printf '    %-10s %s\n' "$1" "$line"
}

tally() {
    awk '{ p += $1; f += $2; s += $3 }
         END {
             printf "%d passed, %d failed", p, f
             if (s) printf ", %d skipped", s
             printf "\n"
             exit f > 0 || p == 0
         }' "$counts"
}
