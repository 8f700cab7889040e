#!/usr/bin/env bash
# Makes this checkout ready to build: Debian packages, and .venv with LibTorch. Safe to run again; does nothing when
# all is there.
#   scripts/setup.sh             what the programs need
#   scripts/setup.sh --tests     and what the tests need: test libraries, clang, a cross compiler for Arm with libraries
#                                in build/arm64-sysroot, the oracles' Python packages
#   scripts/setup.sh --slow      and what the slow oracles need: .venv-slow, where other versions of the same packages live,
#                                and .venv-aiconfigurator
set -euo pipefail
cd "$(dirname "$0")/.."

libraries=(nlohmann-json3-dev libyaml-cpp-dev libcli11-dev libspdlog-dev libfmt-dev
           libpcre2-dev libutf8proc-dev libsentencepiece-dev libboost-dev)
test_libraries=(libgtest-dev libgmock-dev)
packages=(build-essential cmake ninja-build ccache pkg-config ca-certificates python3 python3-venv "${libraries[@]}")
requirements=scripts/python-libtorch.txt
case "${1:-}" in
  "") ;;
  --tests|--slow)
    packages+=("${test_libraries[@]}" clang libclang-rt-14-dev clang-format)
    # On Arm itself the ordinary build runs the same code.
    [[ "$(dpkg --print-architecture)" == arm64 ]] || packages+=(g++-aarch64-linux-gnu qemu-user)
    [[ "$1" != --slow ]] || packages+=(chromium fonts-dejavu-core)
    requirements=scripts/python-oracles.txt ;;
  *) echo "usage: scripts/setup.sh [--tests|--slow]" >&2; exit 2 ;;
esac

say() { echo "setup: $*" >&2; }

missing=()
for package in "${packages[@]}"; do
  [[ "$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null)" == "install ok installed" ]] || missing+=("$package")
done
if (( ${#missing[@]} )); then
  as_root=()
  if (( EUID != 0 )); then
    if ! command -v sudo >/dev/null; then
      say "these Debian packages are missing, and this is neither root nor is there sudo. As root, run:"
      say "  apt-get install --no-install-recommends ${missing[*]}"
      exit 1
    fi
    as_root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    >/dev/null
fi

if [[ " ${packages[*]} " == *" qemu-user "* ]]; then
  scripts/arm64_sysroot.sh "${libraries[@]}" "${test_libraries[@]}" ||
    say "no libraries for arm64 from this machine's package sources: the arm64 tests will be skipped"
fi

# The lists that a list names, and itself: what its environment depends on.
stamp_of() { echo "$(pwd) $(cat $(grep -hoP '^-r \K.*' "$1" | sed 's,^,scripts/,') "$1" | sha256sum)"; }

# environment DIR LIST [PIP OPTION...]: makes a Python environment with the packages of LIST. It is complete when its
# stamp names that list, or the oracles' which holds it, and this path (a copied one points to where it was made).
environment() {
  local stamp=$1/setup-stamp
  if [[ -f $stamp ]] && grep -qxF -e "$(stamp_of "$2")" -e "$(stamp_of scripts/python-oracles.txt)" "$stamp"; then
    return
  fi
  if [[ ! -x $1/bin/pip ]] || [[ "$(head -1 "$1/bin/pip")" != "#!$(pwd)/$1/bin/python"* ]]; then
    say "making $1"
    rm -rf "$1"
    /usr/bin/python3 -m venv "$1"
  fi
  say "installing Python packages of $2 in $1 (LibTorch is large)"
  "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps --only-binary :all: \
    "${@:3}" -r "$2"
  stamp_of "$2" > "$stamp"
}

environment .venv "$requirements"
if [[ "${1:-}" == --slow ]]; then
  environment .venv-slow scripts/python-slow.txt --no-binary llama-cpp-python,rouge_score,sqlitedict,word2number
  environment .venv-aiconfigurator scripts/python-aiconfigurator.txt
fi
