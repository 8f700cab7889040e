#!/usr/bin/env bash
# scripts/arm64_sysroot.sh PACKAGE...: unpacks Debian packages for arm64, with all they depend on, into
# build/arm64-sysroot, for cross builds (cmake/aarch64.cmake). Installs nothing and needs no root: apt works on lists and
# a list of installed packages of its own. Safe to run again; does nothing when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=(libc6-dev "$@")

sysroot=$PWD/build/arm64-sysroot
[[ -f $sysroot/stamp && "$(<"$sysroot/stamp")" == "${packages[*]}" ]] && exit
work=$PWD/build/arm64-sysroot.new
rm -rf "$work" "$sysroot"
mkdir -p "$work"/apt/{lists,archives}/partial "$work/root"
touch "$work/apt/status"
apt=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root
     -o Dir::State="$work/apt" -o Dir::State::Lists="$work/apt/lists" -o Dir::State::status="$work/apt/status"
     -o Dir::Cache="$work/apt")
# A source without arm64 fails here; whether it was needed shows below.
"${apt[@]}" update || true
"${apt[@]}" install -y --no-install-recommends --download-only "${packages[@]}" >/dev/null
for archive in "$work"/apt/archives/*.deb; do dpkg-deb --extract "$archive" "$work/root"; done
echo "${packages[*]}" > "$work/root/stamp"
mv "$work/root" "$sysroot"
rm -rf "$work"
