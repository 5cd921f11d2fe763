# shellcheck shell=sh
# lint.sh: what a reviewer should not have to look for.  Each step is a
# function lint_STEP that prints what is wrong and returns non-zero; a step
# whose tool is missing returns 77 and is said to be skipped.

lint_steps='format includes names symbols plain header gcc clang doxygen
shell docs length'

lint() {
    if [ "${1:-}" = help ]; then
        # shellcheck disable=SC2086
        echo $lint_steps
        return
    fi
    # shellcheck disable=SC2086
    [ $# -gt 0 ] || set -- $lint_steps
    need_for build lint
    mkdir -p build/lint "$logs"
    say "linting"
    bad=0
    for step in "$@"; do
        rc=0
        "lint_$step" || rc=$?
        case $rc in
        0) note "$step: ok" ;;
        77) note "$step: skipped, a tool is missing" ;;
        *)
            note "$step: ${red}FAILED$plain"
            bad=1
            ;;
        esac
    done
    [ $bad = 0 ] || die "lint found something"
    say "lint is clean"
}

# All our C, of git if there is one (so that strays do not count).
c_files() {
    if [ -e .git ] && have git && git rev-parse 2>/dev/null; then
        git ls-files --cached --others --exclude-standard '*.c' '*.h'
    else
        find include src cli common server tests fuzz bench tools -name '*.[ch]' \
            2>/dev/null
    fi | while read -r file; do
        [ ! -f "$file" ] || echo "$file"
    done
}

# One version, since each formats a little differently.
lint_format() {
    formatter=clang-format-14
    have $formatter || formatter=clang-format
    $formatter --version 2>/dev/null | grep -q 'version 14\.' || return 77
    c_files | xargs $formatter --dry-run --Werror 2>build/lint/format && return
    grep -E 'error|warning' build/lint/format | cut -d: -f1 | sort | uniq -c |
        sed 's/^/    | lines to format: /'
    return 1
}

lint_includes() {
    c_files | xargs awk -f tools/check_includes.awk
}

# A name says where its file is only if it is there once.
lint_names() {
    twice=$(c_files | grep -E '^(src|cli|common|server)/' | sed 's,.*/,,' | sort |
        uniq -d)
    [ -z "$twice" ] || {
        echo "$twice" | sed 's/^/    | more than one file named /'
        return 1
    }
}

# Only oc_x is exported, all that the headers promise is; and nothing global
# inside lacks our prefix, which would clash in a static link.
lint_symbols() {
    have nm || return 77
    build_preset release || return 1
    nm -D --defined-only build/libocelli.so | awk '{ print $3 }' |
        sort -u >build/lint/exported
    # A declaration may break after OC_API, so let the compiler list them.
    cat include/ocelli/*.h | cc -std=c11 -Iinclude -E -P -x c - 2>/dev/null |
        tr '\n' ' ' | tr ';' '\n' |
        sed -n 's/.*visibility.*[ *]\(oc_[a-z0-9_]*\) *(.*/\1/p' |
        sort -u >build/lint/promised
    rc=0
    grep -v '^oc_[a-z]' build/lint/exported | sed 's/^/    | exported: /' |
        grep . && rc=1
    comm -13 build/lint/exported build/lint/promised |
        sed 's/^/    | declared in a public header, not defined: /' |
        grep . && rc=1
    comm -23 build/lint/exported build/lint/promised |
        sed 's/^/    | exported, but in no public header: /' | grep . && rc=1
    nm --defined-only -g build/libocelli.a 2>/dev/null |
        awk 'NF == 3 && $3 !~ /^oc_/ { print "    | global name: " $3 }' |
        grep . && rc=1
    return $rc
}

# The core needs libc, libm and pthreads, and no build system.
lint_plain() {
    core=$(core_dirs | while read -r dir; do
        [ ! -d "src/$dir" ] || find "src/$dir" -name '*.c'
    done)
    cat >build/lint/plain.c <<'END'
#include <ocelli/ocelli.h>
#include <stdio.h>
int main(void) {
    oc_model *model;
    oc_error err;
    puts(oc_version());
    return oc_model_load(&model, "/nonexistent", NULL, &err) != OC_E_IO;
}
END
    # shellcheck disable=SC2086
    logged lint-plain cc -std=c11 -Iinclude -Isrc build/lint/plain.c \
        $core -lm -lpthread -o build/lint/plain &&
        logged lint-plain-run build/lint/plain
}

core_dirs() {
    sed -n 's/^set(OC_CORE_DIRS \(.*\))/\1/p' cmake/OcSources.cmake |
        tr ' ' '\n'
}

# Each public header stands alone, in C and in C++.
lint_header() {
    rc=0
    for header in include/ocelli/*.h; do
        for language in c c++; do
            # clang parses C++ without a C++ library; gcc needs a package.
            compiler=clang
            have clang || compiler=cc
            [ $language = c ] || have clang || continue
            echo "#include <ocelli/$(basename "$header")>" |
                $compiler -x $language -Iinclude -Wall -Wextra -pedantic \
                    -Werror -fsyntax-only - || rc=1
        done
    done
    return $rc
}

# As the Release build to the letter, in a folder as deep: ccache has what came
# of it, warnings too.  -Werror would make it another build.
lint_gcc() {
    compiler=cc
    cc --version | grep -q 'Free Software' || compiler=gcc
    warnings_build gcc -DCMAKE_C_COMPILER=$compiler \
        -DCMAKE_BUILD_TYPE=Release
}

# Its warnings do not hang on the optimiser, as some of gcc's do.
lint_clang() {
    have clang || return 77
    warnings_build clang -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=None \
        -DCMAKE_C_FLAGS=-DNDEBUG
}

# warnings_build NAME CMAKE-ARG...: anew, since what is not compiled does not
# warn; without linking, since linkers do not warn.
warnings_build() {
    name=lint-$1
    dir=build/lint/$1
    shift
    rm -rf "$dir"
    mkdir -p "$dir"
    for entry in *; do
        [ "$entry" = build ] || ln -s "../../../$entry" "$dir/$entry"
    done
    logged "$name-configure" cmake -S "$dir" -B "$dir/build" -G Ninja "$@" &&
        logged "$name" build_objects "$dir/build" && no_warnings "$name"
}

build_objects() { # BUILD-DIR
    ninja -C "$1" -t targets all |
        sed -n 's/^\(.*\.o\): C_COMPILER.*/\1/p' >"$1/objects"
    [ -s "$1/objects" ] && xargs ninja -C "$1" -j "$jobs" -k 0 <"$1/objects"
}

no_warnings() { # LOG-NAME
    ! grep -A 3 'warning:' "$logs/$1.log" | head -n 30 | sed 's/^/    | /' |
        grep .
}

lint_doxygen() {
    have doxygen || return 77
    doxygen tools/Doxyfile >"$logs/doxygen.log" 2>&1
    [ ! -s build/lint/doxygen.warnings ] || {
        sed 's/^/    | /' build/lint/doxygen.warnings | head -n 20
        return 1
    }
}

lint_shell() {
    have shellcheck || return 77
    # -x follows dev into tools/dev/, so that variables are seen across files.
    scripts=$(find tests bench -name '*.sh' 2>/dev/null)
    # shellcheck disable=SC2086
    shellcheck -x dev .ci/run $scripts
}

# A report: long is not wrong, but worth a look.
lint_length() {
    c_files | grep -E '^(src|cli|common|server)/' | xargs awk -f tools/length.awk
}
