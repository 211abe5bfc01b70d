#!/usr/bin/env bash
# Makes sure that the speech synthesiser flite is there: installs Debian's package as root or with a sudo that asks
# for no password, and otherwise prints the one line to type and exits 1.
set -euo pipefail

if command -v flite >/dev/null; then
    exit 0
fi
if command -v apt-get >/dev/null; then
    if [ "$(id -u)" -eq 0 ]; then
        sudo=""
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo="sudo"
    else
        echo "flite (speech synthesiser) is missing; type: sudo apt-get install flite" >&2
        exit 1
    fi
    echo "Installing flite (speech synthesiser) with apt-get"
    if $sudo apt-get install -y -q flite >/dev/null 2>&1 ||
        { $sudo apt-get update -q >/dev/null && $sudo apt-get install -y -q flite >/dev/null; }; then
        exit 0
    fi
fi
echo "flite (speech synthesiser) is missing and could not be installed; on Debian or Ubuntu type: apt-get install flite" >&2
exit 1
