#!/bin/sh
# sh scripts/with-setup.sh COMMAND...: brings what Shikra needs, then runs COMMAND with a fitting Node first on PATH.
#
# Says what it does on stderr, says nothing when there is nothing to do, and then costs a few tens of milliseconds.
# SHIKRA_SETUP=test also brings what only the tests use; without it they skip what needs it.
# SHIKRA_SETUP=start fills the compile cache when sources are newer, so that what is started carries no compiler.
# Exit codes: 1 a step failed, 2 something must be installed by hand; otherwise COMMAND's own.
set -eu

# The Node that is fetched where the machine's own is too old. The sums are those of the npm registry's archives.
node_version=26.10.0
node_sum_x64=69af90f5643f09d464e25e2b361b94ddcbeb6bdac2320b79f504733c388d5276
node_sum_arm64=29bc0298f7b936a1a293c5a7663abcbc41c49a8962816f56f35e218d0b1d2161
node_oldest=24

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/shikra

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# ---- Node -----------------------------------------------------------------------------------------------------------

case $(uname -m) in
  x86_64) node_arch=x64 node_sum=$node_sum_x64 ;;
  aarch64) node_arch=arm64 node_sum=$node_sum_arm64 ;;
  *) node_arch='' node_sum='' ;;
esac
node_home=$cache/node-v$node_version-linux-$node_arch

node_is_new_enough() {
  version=$(node -v 2>/dev/null) || return 1
  version=${version#v}
  [ "${version%%.*}" -ge "$node_oldest" ]
}

# A fetched Node goes first on PATH; one on PATH that will do is left alone.
choose_node() {
  node_is_new_enough && return 0
  [ -x "$node_home/bin/node" ] || return 1
  PATH=$node_home/bin:$PATH
  export PATH
}

fetch_node() {
  [ -n "$node_arch" ] || fail "Node $node_oldest or newer is needed, and there is none to fetch for $(uname -m): install it and try again"
  command -v npm >/dev/null || fail "Node $node_oldest or newer is needed: install it, or npm, which can fetch it"
  say "fetching Node $node_version into $cache (this machine has $(node -v 2>/dev/null || echo none))"
  work=$(mktemp -d "$cache/fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  package=node-linux-$node_arch
  (cd "$work" && npm pack --silent --loglevel=error "$package@$node_version" >/dev/null) ||
    fail "npm could not fetch $package@$node_version; see that the npm registry can be reached"
  echo "$node_sum  $work/$package-$node_version.tgz" | sha256sum -c --status ||
    fail "the fetched $package@$node_version is not the expected one (SHA-256 differs); nothing was installed"
  tar -xzf "$work/$package-$node_version.tgz" -C "$work"
  "$work/package/bin/node" -v >/dev/null || fail "the fetched Node does not run here (it needs glibc): install Node $node_oldest or newer"
  # The rename is what makes it appear, so that no one sees half of it.
  mv -T "$work/package" "$node_home" 2>/dev/null || [ -x "$node_home/bin/node" ] || fail "cannot write $node_home"
  rm -rf "$work"
  trap - EXIT
}

# ---- what the native part is built with -------------------------------------------------------------------------------

# what to look for | Debian, Ubuntu | Fedora | Arch
build_needs='
clang|clang|clang|clang
gcc|gcc|gcc|gcc
make|make|make|make
/usr/include/stdio.h|libc6-dev|glibc-devel|glibc
/usr/include/bpf/libbpf.h|libbpf-dev|libbpf-devel libbpf-static|libbpf
/usr/include/libelf.h|libelf-dev|elfutils-libelf-devel elfutils-libelf-devel-static|libelf
/usr/include/zlib.h|zlib1g-dev|zlib-devel zlib-static|zlib
'
# Kernel tests make containers of these; the last is for compiling for another machine.
test_needs='
busybox|busybox-static|busybox|busybox
runc|runc|runc|runc
containerd|containerd|containerd|containerd
dockerd|docker.io|moby-engine|docker
podman|podman|podman|podman
logrotate|logrotate|logrotate|logrotate
aarch64-linux-gnu-gcc|gcc-aarch64-linux-gnu libc6-dev-arm64-cross|gcc-aarch64-linux-gnu|aarch64-linux-gnu-gcc
'

# missing TABLE: its lines of which the first column is not there.
missing() {
  echo "$1" | while IFS='|' read -r what packages; do
    case $what in
      '') ;;
      /*) [ -e "$what" ] || echo "$what|$packages" ;;
      *) command -v "$what" >/dev/null || echo "$what|$packages" ;;
    esac
  done
}

# packages TABLE COLUMN: on one line.
packages() { echo "$1" | cut -d'|' -f"$2" | tr '\n' ' ' | sed 's/ *$//'; }

is_debian() {
  command -v apt-get >/dev/null && [ -r /etc/os-release ] &&
    grep -Eq '^(ID|ID_LIKE)=.*(debian|ubuntu)' /etc/os-release
}

# apt ARGUMENTS: apt-get, waiting up to five minutes for another one to finish. Its output is shown only if it fails.
apt() {
  log=$(mktemp)
  waited=0
  until DEBIAN_FRONTEND=noninteractive apt-get -y -q "$@" >"$log" 2>&1 </dev/null; do
    if ! grep -q 'Could not get lock' "$log" || [ "$waited" -ge 300 ]; then
      apt_output=$(cat "$log")
      rm -f "$log"
      return 1
    fi
    [ "$waited" -gt 0 ] || say 'another program is installing packages; waiting for it'
    sleep 2
    waited=$((waited + 2))
  done
  rm -f "$log"
}

# The package lists are fetched only when the ones there do not do.
apt_install() {
  say "installing $*"
  apt install --no-install-recommends "$@" && return 0
  say 'fetching the package lists'
  apt update && apt install --no-install-recommends "$@"
}

tell_what_to_install() {
  say "missing: $(packages "$1" 1)"
  say 'install, as root, and try again:'
  say "  Debian, Ubuntu:  apt-get install $(packages "$1" 2)"
  say "  Fedora:          dnf install $(packages "$1" 3)"
  say "  Arch:            pacman -S $(packages "$1" 4)"
  exit 2
}

install_needs() {
  lacking=$(missing "$build_needs")
  if [ -n "$lacking" ]; then
    { is_debian && [ "$(id -u)" = 0 ]; } || tell_what_to_install "$lacking"
    # shellcheck disable=SC2046 # one word per package
    apt_install $(packages "$lacking" 2) || { say 'apt-get failed:'; echo "$apt_output" >&2; tell_what_to_install "$lacking"; }
  fi
  [ -n "$(missing_for_tests)" ] && is_debian && [ "$(id -u)" = 0 ] || return 0
  # shellcheck disable=SC2046
  apt_install $(packages "$(missing_for_tests)" 2) || say 'not installed; the tests that need them are skipped'
}

missing_for_tests() { [ "${SHIKRA_SETUP:-}" != test ] || missing "$test_needs"; }

# ---- dependencies and the native part -------------------------------------------------------------------------------------

stamp=$root/node_modules/.shikra-lock

modules_are_current() {
  cmp -s "$root/package-lock.json" "$stamp" && return 0
  # Someone ran `npm ci` by hand: npm's own copy of the lock is newer than the lock.
  [ ! -e "$stamp" ] && [ "$root/node_modules/.package-lock.json" -nt "$root/package-lock.json" ] &&
    [ -e "$root/node_modules/typescript" ] && cp "$root/package-lock.json" "$stamp" 2>/dev/null
}

install_modules() {
  command -v npm >/dev/null || fail 'npm is needed to install the dependencies: install it and try again'
  say 'installing dependencies (npm ci)'
  (cd "$root" && npm ci --no-audit --no-fund --loglevel=error </dev/null >&2) || fail 'npm ci failed'
  cp "$root/package-lock.json" "$stamp"
}

native_is_current() { [ ! -e "$root/native/Makefile" ] || make -q -s -C "$root/native" >/dev/null 2>&1; }

build_native() {
  say 'building the native part'
  make -s --no-print-directory -C "$root/native" >&2 || fail 'the native part did not build'
}

# ---- the way through -------------------------------------------------------------------------------------------------------

everything_is_there() {
  choose_node && [ -z "$(missing "$build_needs")$(missing_for_tests)" ] && modules_are_current && native_is_current
}

set_up() {
  choose_node || fetch_node
  choose_node
  install_needs
  modules_are_current || install_modules
  native_is_current || build_native
}

[ $# -gt 0 ] || fail 'usage: sh scripts/with-setup.sh COMMAND...'
if ! everything_is_there; then
  # One set-up at a time: a second one waits here, and then finds the work done.
  mkdir -p "$cache"
  exec 9>"$cache/setup.lock"
  ! command -v flock >/dev/null || flock 9
  set_up
  exec 9>&-
fi
# Node keeps what it compiled, TypeScript stripped to JavaScript included: later starts are quicker and carry no compiler in memory.
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$cache/compile-cache}"
warm=$root/node_modules/.shikra-warm
if [ "${SHIKRA_SETUP:-}" = start ] && { [ ! -d "$NODE_COMPILE_CACHE" ] || [ ! -e "$warm" ] ||
  [ -n "$(cd "$root" && find cli collector exporters native processors rules -name '*.ts' -newer "$warm" -print -quit)" ]; }; then
  node "$root/scripts/warm-cache.ts" && touch "$warm"
  # Each version of a file has an entry of its own. What nobody has read for a month is of versions that are gone. Another set-up may do the same meanwhile.
  [ ! -d "$cache/compile-cache" ] || find "$cache/compile-cache" -ignore_readdir_race -type f -atime +30 -delete ||
    say "old compilations in $cache/compile-cache could not all be removed; they only take room"
fi
exec "$@"
