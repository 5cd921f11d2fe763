# shellcheck shell=sh
# build.sh: CMake builds.  Release goes to build/, every other preset to
# build/PRESET.

preset_dir() {
    case $1 in
    release) echo build ;;
    *) echo "build/$1" ;;
    esac
}

# build_preset PRESET [CMAKE-ARGS]: configures and builds; quiet if all is well.
build_preset() {
    preset=$1
    shift
    logged "$preset-configure" cmake --preset "$preset" "$@" &&
        logged "$preset-build" cmake --build "$(preset_dir "$preset")" \
            --parallel "$jobs"
}

build_release() {
    need_for build
    say "building (Release)"
    build_preset release "$@" || die "the build failed"
    if [ -x build/ocelli ]; then
        note "build/ocelli"
    else
        note "build/libocelli.so, build/libocelli.a"
    fi
}
