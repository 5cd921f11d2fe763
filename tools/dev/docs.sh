# shellcheck shell=sh
# docs.sh: tables that are written by the program, and whether what is written
# by hand is still true.

# ---- ./dev docs -----------------------------------------------------------

# Writes docs/operators.md, docs/cli.md and docs/conformance.md anew, the table
# of verbs in README.md, and the picture there.
docs() {
    need_for build check
    build_release
    for page in operators cli; do
        build/ocelli _docs $page >build/docs.new
        mv build/docs.new docs/$page.md
        note "docs/$page.md"
    done
    with_verbs README.md >build/docs.new
    mv build/docs.new README.md
    note "README.md: the verbs"
    docs_picture
    docs_conformance
}

# The picture on the first page: drawn by us, looked at by a detector.
docs_picture() {
    model=$shared/models/yolox_nano_coco.onnx
    [ -f "$model" ] || {
        note "docs/img/scene.png stays: no $model"
        return 0
    }
    build_preset release -DOC_TESTS=ON || return 1
    build/api_scene build/scene.png &&
        build/ocelli detect --quiet "$model" build/scene.png \
            --out docs/img >build/logs/scene.log 2>&1 ||
        die "docs/img/scene.png could not be made"
    note "docs/img/scene.png"
}

# with_verbs FILE: the file with its table of verbs as it should be.
with_verbs() {
    build/ocelli _docs verbs >build/verbs.md
    awk '/^<!-- verbs -->/ {
             print
             while ((getline line <"build/verbs.md") > 0) print line
             skip = 1
         }
         /^<!-- \/verbs -->/ { skip = 0 }
         !skip' "$1"
}

docs_conformance() {
    results=
    for suite in $suites; do
        dirs=$(suite_dirs "$suite") ||
            die "docs/conformance.md: $(suite_missing "$suite")"
        result=build/logs/$suite.json
        # shellcheck disable=SC2086
        build/ocelli conform --quiet --json $dirs >"$result" || :
        results="$results $result"
    done
    # shellcheck disable=SC2086
    awk -f tools/conformance.awk $results >build/docs.new
    mv build/docs.new docs/conformance.md
    note "docs/conformance.md"
}

# ---- ./dev lint docs ------------------------------------------------------

lint_docs() {
    have patch || return 77
    build_preset release || return 1
    rc=0
    docs_tables_fresh || rc=1
    docs_howtos || rc=1
    docs_files_exist || rc=1
    return $rc
}

docs_tables_fresh() {
    stale=0
    for page in operators cli; do
        build/ocelli _docs $page | cmp -s - docs/$page.md || {
            echo "    | docs/$page.md is not what the program says:" \
                "run ./dev docs"
            stale=1
        }
    done
    with_verbs README.md | cmp -s - README.md || {
        echo "    | README.md has not the verbs there are: run ./dev docs"
        stale=1
    }
    # The program on the first page is the one that tests/api/embed.c runs.
    awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' README.md |
        cmp -s - docs/embed.c || {
        echo "    | README.md shows another program than docs/embed.c"
        stale=1
    }
    return $stale
}

# Does in a copy of the tree what the how-tos say, one after the other, and
# runs the tests they add: small ones, so nothing is optimised.
docs_howtos() {
    tree=build/lint/howto
    rm -rf $tree.old
    mkdir -p $tree
    rm -rf $tree/src $tree/cli $tree/common $tree/server $tree/tests
    # Times are kept, so that only what differs is compiled again.
    tar -cf - CMakeLists.txt cmake include locales src cli common server tests/unit |
        tar -xf - -C $tree
    targets=
    for page in operator kernel pass task; do
        rm -f $tree/howto.patch
        awk -v out=$tree -f tools/howto.awk "docs/howto-$page.md"
        docs_formatted $tree "docs/howto-$page.md" || return 1
        [ ! -f $tree/howto.patch ] ||
            logged "howto-$page" patch -d $tree -p1 -N -i howto.patch ||
            return 1
        targets="$targets $(sed -n \
            's,^```c tests/unit/\(test_.*\)\.c$,\1,p' "docs/howto-$page.md")"
    done
    # shellcheck disable=SC2086
    logged howto-configure cmake -S $tree -B $tree/build -G Ninja \
        -DCMAKE_BUILD_TYPE=None -DOC_TESTS=ON -DOC_WERROR=ON &&
        logged howto-build cmake --build $tree/build --parallel "$jobs" \
            --target $targets || return 1
    for target in $targets; do
        logged "howto-$target" "$tree/build/$target" || return 1
    done
}

# The files a how-to adds look like ours.
docs_formatted() { # TREE PAGE
    formatter=clang-format-14
    have $formatter || return 0
    cp .clang-format "$1"
    sed -n 's/^```c //p' "$2" | while read -r file; do
        $formatter --dry-run --Werror "$1/$file" 2>/dev/null || {
            $formatter -i "$1/$file"
            echo "    | $2: $file is not formatted"
            exit 1
        }
    done
}

# Files that are spoken of, in links and in comments, are there.
docs_files_exist() {
    # shellcheck disable=SC2046
    awk -f tools/spoken_of.awk ./*.md docs/*.md $(c_files) | sort -u |
        while read -r page file; do
            [ -e "$file" ] || [ -e "build/lint/howto/$file" ] ||
                echo "    | $page there is no $file"
        done >build/lint/gone
    cat build/lint/gone
    [ ! -s build/lint/gone ]
}
