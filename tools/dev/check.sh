# shellcheck shell=sh
# check.sh: every test, in stages that can run alone (`./dev check asan`).
# Each stage adds its single test cases to the total on the last line.

# One stage a line, in this order.  The sanitizers repeat the unit tests on
# purpose: the same case under another tool is another case.
stages='unit install asan tsan aarch64 fuzz cli conform oracle page'

check() {
    [ $# -gt 0 ] || set -- $stages
    for stage in "$@"; do
        case " $stages " in
        *" $stage "*) ;;
        *) die "no stage \"$stage\"; there are: $stages" ;;
        esac
    done
    case " $* " in
    *' page '*) need_for build check page ;;
    *) need_for build check ;;
    esac
    build_release -DOC_TESTS=ON
    rm -f "$counts"
    say "testing: $*"
    for stage in "$@"; do
        "stage_$stage"
    done
    tally
}

skip_stage() { # STAGE WHY
    count "$1" 0 0 1 "$2"
}

# ---- CTest ----------------------------------------------------------------

# ctest_stage STAGE BUILD-DIR REGEX: runs the matching tests, counts cases.
ctest_stage() {
    log=$logs/$1.log
    mkdir -p "$logs"
    # Its exit code is not asked: the cases say what failed.
    $ctest_prefix ctest --test-dir "$2" -R "$3" -V -j "$jobs" >"$log" 2>&1 ||
        :
    result=$(awk -f tools/dev/count.awk "$log")
    # shellcheck disable=SC2046
    count "$1" $(echo "$result" | sed -n 1p)
    echo "$result" | sed -n '2,40s/^/      FAILED /p'
    case $result in *FAILED* | *'not ok'* | *'the program'*)
        note "  the whole log: $log"
        ;;
    esac
}
ctest_prefix=

stage_unit() {
    ctest_stage unit build '^(unit|api)\.'
}

stage_cli() {
    if [ ! -x build/ocelli ]; then
        skip_stage cli "no build/ocelli"
        return
    fi
    ctest_stage cli build '^cli\.'
}

# ---- sanitizers -----------------------------------------------------------

# slow_stage: ctest_stage where a build is so slow that large networks would
# take minutes; tests leave them out when they see OC_TEST_SMALL.
slow_stage() {
    export OC_TEST_SMALL=1
    ctest_stage "$@"
    unset OC_TEST_SMALL
}

sanitized() { # PRESET REGEX [CMAKE-ARG...]
    preset=$1
    regex=$2
    shift 2
    if build_preset "$preset" "$@"; then
        slow_stage "$preset" "build/$preset" "$regex"
    else
        count "$preset" 0 1 0 "it does not build"
    fi
}

stage_asan() {
    sanitized asan '^unit\.'
}

stage_tsan() {
    # gcc's tsan cannot live with the many random address bits of newer
    # kernels; setarch -R takes the randomness out, where it is allowed to.
    if setarch "$(uname -m)" -R true 2>/dev/null; then
        ctest_prefix="setarch $(uname -m) -R"
    fi
    # The server's threads meet in the program only.
    if oracle_venv; then
        sanitized tsan '^(unit\.|oracle\.server_races$)' \
            -DOC_PYTHON="$PWD/build/venv/bin/python"
    else
        sanitized tsan '^unit\.'
    fi
    ctest_prefix=
}

# Corpora under address and undefined-behaviour sanitizers.
stage_fuzz() {
    if build_preset asan; then
        ctest_stage fuzz build/asan '^fuzz\.'
    else
        count fuzz 0 1 0 "it does not build"
    fi
}

# ---- ARM ------------------------------------------------------------------

stage_aarch64() {
    if ! have aarch64-linux-gnu-gcc || ! have qemu-aarch64; then
        skip_stage aarch64 "no cross compiler or no qemu-aarch64"
        return
    fi
    if build_preset aarch64; then
        slow_stage aarch64 build/aarch64 '^unit\.'
    else
        count aarch64 0 1 0 "it does not build"
    fi
}

# ---- as another project sees it -------------------------------------------

# Installs to a fresh prefix, moves it (nothing may remember where it was
# built for), and builds tests/api/ against it in the ways there are.
stage_install() {
    rm -rf build/prefix build/outside
    if ! logged install-tree cmake --install build --prefix build/prefix.new
    then
        count install 0 1 0 "cmake --install failed"
        return
    fi
    mv build/prefix.new build/prefix
    if logged outside-configure cmake -S tests/install -B build/outside \
        -G Ninja -DCMAKE_PREFIX_PATH="$PWD/build/prefix" \
        -DOC_SOURCE="$PWD" &&
        logged outside-build cmake --build build/outside; then
        ctest_stage install build/outside .
    else
        count install 0 1 0 "an outside program does not build"
    fi
}

# ---- ONNX's conformance suites --------------------------------------------

# conform NAME DIR...: one suite through `ocelli conform`, whose last line is
# `N passed, N failed, N unsupported`.  Unsupported is not passed.
conform() {
    suite=$1
    shift
    log=$logs/conform-$suite.log
    build/ocelli conform "$@" >"$log" 2>&1 || :
    last=$(tail -n 1 "$log")
    numbers=$(echo "$last" | sed -n \
        's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) unsupported$/\1 \2 \3/p')
    if [ -z "$numbers" ]; then
        count "$suite" 0 1 0 "ocelli conform ended early: $log"
        return
    fi
    # shellcheck disable=SC2086
    set -- $numbers
    count "$suite" "$1" $(($2 + $3)) 0
    [ $(($2 + $3)) -eq 0 ] || note "  the failures: $log"
}

stage_conform() {
    if [ ! -x build/ocelli ]; then
        skip_stage conform "no build/ocelli"
        return
    fi
    for suite in $suites; do
        if dirs=$(suite_dirs "$suite"); then
            # shellcheck disable=SC2086
            conform "$suite" $dirs
        else
            skip_stage "$suite" "$(suite_missing "$suite")"
        fi
    done
}

suites='onnx-1.12 onnx-1.20'

# suite_dirs SUITE: the folders of its cases; fails where they are not there.
suite_dirs() {
    case $1 in
    onnx-1.12)
        [ -d /usr/share/libonnx-testdata/data ] || return 1
        echo /usr/share/libonnx-testdata/data
        ;;
    onnx-1.20)
        wheel=$(onnx_suite) || return 1
        echo "$wheel/node" "$wheel/simple" "$wheel/light" "$wheel"/pytorch-*
        ;;
    esac
}

suite_missing() {
    case $1 in
    onnx-1.12) echo "no package libonnx-testdata" ;;
    onnx-1.20) echo "not downloaded: no network?" ;;
    esac
}

# Says where the test data of the pinned onnx wheel is, downloading it once.
# The wheel is only unpacked, so any Python version will do.
onnx_suite() {
    version=$(sed -n 's/^onnx==//p' tests/requirements.txt)
    dir=$cache/onnx-$version
    if [ ! -d "$dir" ]; then
        pip_venv || return 1
        mkdir -p "$cache"
        logged onnx-download build/venv/bin/pip download -q --no-deps \
            --retries 1 --python-version 3.12 --only-binary :all: \
            -d "$cache" "onnx==$version" >&2 || return 1
        rm -rf "$dir.part"
        logged onnx-unpack build/venv/bin/python -m zipfile -e \
            "$cache/onnx-$version"-*.whl "$dir.part" >&2 || return 1
        mv "$dir.part" "$dir"
    fi
    echo "$dir/onnx/backend/test/data"
}

# ---- Python as the oracle -------------------------------------------------

pip_venv() {
    [ -x build/venv/bin/pip ] && return 0
    have python3 || return 1
    rm -rf build/venv
    logged venv python3 -m venv build/venv >&2
}

# The pinned modules, once: a stamp remembers which list was installed.
oracle_venv() {
    if cmp -s tests/requirements.txt build/venv/installed.txt; then
        return 0
    fi
    [ "${OC_OFFLINE:-0}" != 1 ] || return 1
    pip_venv || return 1
    logged pip build/venv/bin/pip install -q --retries 1 \
        --only-binary :all: -r tests/requirements.txt || return 1
    cp tests/requirements.txt build/venv/installed.txt
}

stage_oracle() {
    if [ ! -x build/ocelli ]; then
        skip_stage oracle "no build/ocelli"
    elif ! oracle_venv; then
        skip_stage oracle "Python modules not there: no network?"
    elif build_preset release -DOC_PYTHON="$PWD/build/venv/bin/python"; then
        ctest_stage oracle build '^oracle\.'
    else
        count oracle 0 1 0 "it does not configure"
    fi
}

# ---- the page in a browser ------------------------------------------------

# What it needs beside the oracles' modules, which it uses too.
page_venv() {
    oracle_venv || return 1
    list=tests/page/requirements.txt
    if cmp -s $list build/venv/installed-page.txt; then
        return 0
    fi
    [ "${OC_OFFLINE:-0}" != 1 ] || return 1
    logged pip-page build/venv/bin/pip install -q --retries 1 \
        --only-binary :all: -r $list || return 1
    cp $list build/venv/installed-page.txt
}

have_chromium() {
    have "${OC_CHROMIUM:-chromium}" || have chromium-browser ||
        have google-chrome
}

# pytest ends with `N failed, N passed, N skipped, N errors in N s`, leaving
# out what is nought.  An error is a test whose page complained of something.
stage_page() {
    if [ ! -x build/ocelli ]; then
        skip_stage page "no build/ocelli"
        return
    elif ! have_chromium; then
        skip_stage page "no Chromium"
        return
    elif ! page_venv; then
        skip_stage page "Python modules not there: no network?"
        return
    fi
    log=$logs/page.log
    OC_BUILD_DIR=build build/venv/bin/python -m pytest -q -rfEs --tb=short \
        -p no:cacheprovider tests/page >"$log" 2>&1 || :
    last=$(tail -n 1 "$log")
    passed=$(page_count passed)
    failed=$(($(page_count failed) + $(page_count 'errors*')))
    skipped=$(page_count skipped)
    if [ $((passed + failed + skipped)) -eq 0 ]; then
        count page 0 1 0 "pytest ended early: $log"
        return
    fi
    why=
    [ "$passed" -gt 0 ] || why=$(sed -n 's/^SKIPPED.*: //p' "$log" | tail -n 1)
    count page "$passed" "$failed" "$skipped" "$why"
    [ "$failed" -eq 0 ] || {
        sed -n 's/^\(FAILED\|ERROR\) /      FAILED /p' "$log"
        note "  the whole log: $log"
    }
}

page_count() { # WORD: the number before it in $last
    n=$(echo "$last" | sed -n "s/.*\(^\|[ ,=]\)\([0-9][0-9]*\) $1.*/\2/p")
    echo "${n:-0}"
}
