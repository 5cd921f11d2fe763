# shellcheck shell=sh
# packages.sh: what must be installed, and why.  The one list of packages.
#
# Purposes build on one another: demo needs `build`, check needs `build` and
# `check`, and so on.  `a|b` means either: distributions name it differently.

packages() {
    cat <<'END'
build  gcc                     the C compiler
build  libc6-dev               the C library's headers
build  cmake                   the build's description
build  ninja-build             runs the build
build  pkg-config              finds the libraries below
build  libjpeg-dev             reads and writes JPEG
build  libpng-dev              reads and writes PNG
build  libwebp-dev             reads and writes WebP
build  libtiff-dev             reads TIFF
build  libopenjp2-7-dev        reads JPEG 2000
build  libcairo2-dev           draws boxes and labels
build  libfreetype-dev         the labels' letters
build  libjansson-dev          reads and writes JSON
build  libmicrohttpd-dev       the server speaks HTTP
build  libgnutls28-dev         the server's TLS and keys
build  flite1-dev              speaks English
check  ccache                  compiles the same thing once only
check  libavformat-dev         reads videos; much comes with it
check  libavcodec-dev          the same, their codings
check  libswscale-dev          the same, their colours
check  libavdevice-dev         reads cameras
check  ffmpeg                  makes videos to test with
check  espeak-ng               speaks other languages, as a program
check  libcmocka-dev           unit tests
check  python3                 runs what results are compared with
check  python3-venv            keeps its modules in build/venv
check  ca-certificates         downloads over https
check  libonnx-testdata        ONNX's node tests of Debian
check  gcc-aarch64-linux-gnu   the ARM build
check  libc6-dev-arm64-cross   the same, its C library
check  qemu-user               runs the ARM tests
page   chromium                the page's tests drive it
page   curl                    the commands that the page shows
page   fonts-inter             the letters of its pictures in docs/img
lint   ccache                  compiles the same thing once only
lint   clang                   the second compiler
lint   clang-format-14         the format check (one version, one format)
lint   doxygen                 the public header's documentation
lint   shellcheck              scripts
lint   patch                   the how-tos, tried in a copy of the tree
lint   binutils                nm: which symbols are exported
bench  wrk                     requests to the server, to measure it
fuzz   clang                   has libFuzzer
fuzz   libclang-rt-14-dev|libclang-common-14-dev|libclang-rt-dev  its runtime
END
}

is_installed() {
    dpkg-query -W -f='${Status}\n' "$1" 2>/dev/null | grep -q 'ok installed'
}

is_available() {
    apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'
}

# Splits "a|b".
either() {
    echo "$1" | tr '|' ' '
}

# missing PURPOSE...: alternatives ("a|b") of which none is installed.
missing() {
    packages | while read -r purpose names why; do
        case " $* " in *" $purpose "*) ;; *) continue ;; esac
        : "$why"
        found=no
        for name in $(either "$names"); do
            if is_installed "$name"; then found=yes; fi
        done
        [ $found = yes ] || echo "$names"
    done | sort -u
}

# Picks from each "a|b" what this distribution has; nothing if it has neither.
choose() {
    for names in "$@"; do
        for name in $(either "$names"); do
            if is_available "$name"; then
                echo "$name"
                break
            fi
        done
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

can_be_root() {
    [ "$(id -u)" -eq 0 ] && return 0
    have sudo || return 1
    # Without a terminal sudo could not ask for a password.
    sudo -n true 2>/dev/null || { [ -t 0 ] && [ -t 1 ]; }
}

# install_for PURPOSE...: installs what is missing, and says what.  A package
# the distribution does not have is left out; what needs it is skipped later.
# Returns 1 where packages are wanted and could not be had.
install_for() {
    if ! have dpkg-query || ! have apt-get; then
        say "not a Debian or Ubuntu: using what is installed"
        return 0
    fi
    wanted=$(missing "$@")
    [ -n "$wanted" ] || return 0
    # Package lists are there (they know of gcc), yet know none of these: the
    # distribution has no such packages.  If the build can do without, so be
    # it; else fresh lists may know more.
    # shellcheck disable=SC2086
    if [ -z "$(missing build)" ] && is_available gcc &&
        [ -z "$(choose $wanted)" ]; then
        return 0
    fi
    # shellcheck disable=SC2086
    if ! can_be_root; then
        say "packages are missing, and there is neither root nor sudo to" \
            "install them:"
        note $wanted
        die "have them installed with apt-get, then run this again"
    fi
    install_now "$wanted"
}

install_now() {
    # shellcheck disable=SC2086
    say "installing:" $1
    if [ "${OC_OFFLINE:-0}" = 1 ]; then
        note "no network (OC_OFFLINE=1): not installed"
        return 1
    fi
    logged apt-update as_root apt-get update || return 1
    # shellcheck disable=SC2086
    chosen=$(choose $1)
    [ -n "$chosen" ] || {
        note "this distribution has none of them"
        return 0
    }
    # shellcheck disable=SC2086
    logged apt-install as_root apt-get install -y --no-install-recommends \
        $chosen
}

# need_for build PURPOSE...: installs for all of them in one go.  Nothing goes
# on without what the build needs; what only a test or a check needs may be
# missing (no network, another distribution), and that test is skipped.
need_for() {
    if ! install_for "$@"; then
        # shellcheck disable=SC2046
        note "still missing:" $(missing "$@")
        [ -z "$(missing build)" ] ||
            die "the build needs them; is there a network?"
        say "what needs them will be skipped"
    fi
    for tool in cc cmake ninja; do
        have $tool || die "there is no $tool (on Ubuntu: is universe enabled?)"
    done
}
