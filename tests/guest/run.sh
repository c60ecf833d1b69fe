#!/bin/bash
# Runs commands on a kernel of Debian's that has every kind of link, in a guest on this machine's root file system.
#
#   tests/guest/run.sh [--kernel uml|qemu] COMMAND [ARGUMENT...] [-- COMMAND [ARGUMENT...]]...
#
# uml:  User-mode Linux, a process with one processor that runs as fast as the machine's own (default)
# qemu: the kernel of Debian's cloud images on an emulated machine: ten times slower, but dockerd works there
#
# The commands run as root in the repository, one after the other, with standard output and error passed through; our
# exit status is that of the last one that failed. Whatever keeps them from ending (no kernel, a panic, the time limit)
# is an error of its own: 125.
# The root file system is this machine's, read-only below a layer in memory: what the commands write is gone
# afterwards. /run and /tmp are empty. The kernel loads its modules on demand. Several guests may run side by side.
#
#   LANWRIGHT_GUEST_TIMEOUT  seconds until the guest is stopped (600)
#   LANWRIGHT_GUEST_CACHE    where the kernel for qemu is kept (build/guest in the repository)
#   LANWRIGHT_GUEST_SHARE    one more directory that must be seen inside even if it is below /tmp or /run
#   LANWRIGHT_GUEST_MEMORY   MiB (2048)
#   LANWRIGHT_GUEST_CONSOLE  a file to copy the kernel's console to
# These variables and those that begin with GTEST_, CTEST_ or contain SAN_OPTIONS are passed on.
set -euo pipefail

readonly failed=125
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
cache=${LANWRIGHT_GUEST_CACHE:-$repository/build/guest}
# shellcheck disable=SC2034  # used by uml.sh and qemu.sh
memory=${LANWRIGHT_GUEST_MEMORY:-2048}
limit=${LANWRIGHT_GUEST_TIMEOUT:-600}
kernel=uml
if [[ ${1-} == --kernel && ${2-} =~ ^(uml|qemu)$ ]]; then kernel=$2 && shift 2; fi

die() {
  explained=true
  echo "guest: $*" >&2
  exit $failed
}

[[ $# -gt 0 && $1 != --kernel ]] || { sed -n '2,21s/^# \?//p' "$0" >&2 && exit 2; }
[[ $EUID -eq 0 ]] || die "must be run as root: the guest reads this machine's whole root file system"

# --- what each of uml.sh and qemu.sh sets, and does ---

version=         # of the kernel, as `uname -r` says it
modules_from=    # the directory that holds a directory of modules by this name
modules=()       # to be loaded before there is a root file system, in the order in which they depend on each other
root_from=       # what to give to `mount` for this machine's root file system
# prepare_kernel: sets these; with the lock on $cache held.
# boot: starts the guest with $work/initrd.img, for $limit seconds at most, as the last one of the processes. It writes
#       to the pipes $work/out, err and status what start writes to its channels, and to console what the kernel says.

# shellcheck disable=SC1090  # either of two
source "$here/$kernel.sh"

prepare() {
  "$repository/tests/packages.sh" guest >&2 || die "cannot install what the guest needs"
  mkdir -p "$cache"
  cache=$(cd "$cache" && pwd)
  exec 9>"$cache/lock"
  flock 9
  prepare_kernel
  exec 9>&-
}

# --- the archive that the kernel starts from: init, and what it is to run ---

passed_environment() {
  local name
  for name in PATH HOME LANG $(compgen -e | grep -E '^(LANWRIGHT_|GTEST_|CTEST_)|SAN_OPTIONS' || true); do
    if [[ -v $name ]]; then printf 'export %s=%q\n' "$name" "${!name}"; fi
  done
}

# The script that runs the commands.
script_of() {
  local command argument
  passed_environment
  printf 'cd %q\nstatus=0\n' "$repository"
  while [[ $# -gt 0 ]]; do
    command=
    while [[ $# -gt 0 && $1 != -- ]]; do
      printf -v argument '%q ' "$1"
      command+=$argument
      shift
    done
    [[ $# -eq 0 ]] || shift
    # shellcheck disable=SC2016  # for the guest's shell
    printf 'SECONDS=0\n%s|| status=$?\necho "guest: $SECONDS s for" %q\n' "$command" "$command"
  done
  echo "exit \$status"
}

make_initrd() {
  local root=$work/initrd module file
  mkdir -p "$root"/{bin,modules,proc,sys,dev,lower,layer,root,keep}
  cp /bin/busybox "$root/bin/busybox"
  cp "$here/init" "$here/start" "$root/"
  for module in "${modules[@]}"; do
    file=$(find "$modules_from/$version" -name "$module.ko")
    [[ -n $file ]] || die "kernel $version has no module $module"
    cp "$file" "$root/modules/"
    echo "$module" >>"$root/modules/order"
  done
  script_of "$@" >"$root/command"
  echo "$version" >"$root/version"
  echo "$modules_from" >"$root/modules_from"
  echo "$root_from" >"$root/root_from"
  printf '%s\n' "$repository" "$cache" ${LANWRIGHT_GUEST_SHARE:+"$LANWRIGHT_GUEST_SHARE"} >"$root/shares"
  (cd "$root" && find . | cpio --quiet -o -H newc) >"$work/initrd.img"
}

# --- the guest's processes ---

processes=()
explained=false  # how it ended has been said
# shellcheck disable=SC2317  # called by the trap
stop_all() {
  local pid
  for pid in "${processes[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
  $explained || die "stopped before the command ended"
}

# Ends with us, however we end.
tied() { exec setpriv --pdeathsig KILL "$@"; }

# Makes the pipe $work/NAME and passes on what is written to it, until nobody has it open any more.
readers=()
pass_on() {
  mkfifo "$work/$1"
  cat "$work/$1" &
  readers+=($!)
  processes+=($!)
}

explain_and_fail() {
  tail -n 40 "$work"/*.log >&2
  ((SECONDS < limit)) || die "stopped: not done after $limit s"
  die "the guest ended without the result of the command"
}

work=$(mktemp -d /tmp/lanwright-guest.XXXXXX)
trap stop_all EXIT
trap 'exit $failed' INT TERM HUP
prepare
make_initrd "$@"
pass_on out
pass_on err >&2
pass_on status >"$work/result"
pass_on console >"$work/console.log"
SECONDS=0
boot
wait "${processes[-1]}" 2>/dev/null || true  # its result says how it went
# Lets the readers go if the machine never came as far as opening these.
: 1<>"$work/out" 2<>"$work/err" 3<>"$work/status" 4<>"$work/console"
wait "${readers[@]}" || true

[[ -z ${LANWRIGHT_GUEST_CONSOLE:-} ]] || cp "$work/console.log" "$LANWRIGHT_GUEST_CONSOLE"
[[ $(<"$work/result") =~ ^exit\ ([0-9]+)$ ]] || explain_and_fail
explained=true
exit "${BASH_REMATCH[1]}"
