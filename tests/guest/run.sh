#!/bin/bash
# Runs a command on Debian's own kernel, in a virtual machine on this machine's root file system.
#
#   tests/guest/run.sh COMMAND [ARGUMENT...]
#
# The command runs as root in the repository, with standard output and error passed through, and its exit status is
# ours. Whatever keeps it from ending (no kernel, a panic, the time limit) is an error of its own: 125.
# The root file system is this machine's, read-only below a layer in memory: what the command writes is gone
# afterwards. /run and /tmp are empty. The kernel loads its modules on demand.
#
#   LANWRIGHT_GUEST_TIMEOUT  seconds until the machine is stopped (600)
#   LANWRIGHT_GUEST_CACHE    where the kernel is kept (build/guest in the repository)
#   LANWRIGHT_GUEST_SHARE    one more directory that must be seen inside even if it is below /tmp or /run
#   LANWRIGHT_GUEST_MEMORY   MiB (2048)
#   LANWRIGHT_GUEST_CONSOLE  a file to copy the kernel's console to
# These variables and those that begin with GTEST_, CTEST_ or contain SAN_OPTIONS are passed on.
set -euo pipefail

readonly failed=125
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
cache=${LANWRIGHT_GUEST_CACHE:-$repository/build/guest}
memory=${LANWRIGHT_GUEST_MEMORY:-2048}
limit=${LANWRIGHT_GUEST_TIMEOUT:-600}
# In the order in which they depend on each other.
readonly modules=(virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci fuse virtiofs overlay
  virtio_console)

die() {
  told=true
  echo "guest: $*" >&2
  exit $failed
}

[[ $# -gt 0 ]] || { sed -n '2,16s/^# \?//p' "$0" >&2 && exit 2; }
[[ $EUID -eq 0 ]] || die "must be run as root: the guest reads this machine's whole root file system"

# --- the kernel: fetched once, unpacked into the cache, nothing of it is installed ---

fetch_kernel() {
  local package
  newest() { apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ {print $2; exit}'; }
  package=$(newest)
  [[ -n $package ]] || { apt-get -qq update && package=$(newest); }
  [[ -n $package ]] || die "apt knows no linux-image-cloud-amd64: is Debian's main archive in sources.list?"
  rm -rf "$cache/new" && mkdir -p "$cache/new"
  fetch() { (cd "$cache/new" && apt-get -qq -o APT::Sandbox::User=root download "$package" 2>&1); }
  fetch || { apt-get -qq update && fetch; } || die "cannot download $package"
  dpkg-deb -x "$cache/new/$package"_*.deb "$cache/new"
  rm "$cache/new/$package"_*.deb
  depmod -b "$cache/new" "${package#linux-image-}"
  make_initrd "${package#linux-image-}"
  rm -rf "$cache/kernel" && mv "$cache/new" "$cache/kernel"
}

make_initrd() {
  local root=$cache/new/initrd version=$1 module file
  mkdir -p "$root"/{bin,modules,proc,sys,dev,lower,layer,root,keep}
  cp /bin/busybox "$root/bin/busybox"
  cp "$here/init" "$root/init"
  for module in "${modules[@]}"; do
    file=$(find "$cache/new/lib/modules/$version" -name "$module.ko")
    [[ -n $file ]] || die "kernel $version has no module $module"
    cp "$file" "$root/modules/"
    echo "$module" >>"$root/modules/order"
  done
  (cd "$root" && find . | cpio --quiet -o -H newc >"$cache/new/initrd.img")
}

prepare() {
  "$repository/tests/packages.sh" guest >&2 || die "cannot install what the guest needs"
  mkdir -p "$cache"
  cache=$(cd "$cache" && pwd)
  exec 9>"$cache/lock"
  flock 9
  # An initrd older than this folder's files was made by another version of them.
  if [[ ! -e $cache/kernel/initrd.img || $here/init -nt $cache/kernel/initrd.img ||
        $here/run.sh -nt $cache/kernel/initrd.img ]]; then
    fetch_kernel >&2
  fi
  flock -u 9
  exec 9>&-
}

# --- the command: a second small archive that the kernel unpacks over the first ---

passed_environment() {
  local name
  for name in PATH HOME LANG $(compgen -e | grep -E '^(LANWRIGHT_|GTEST_|CTEST_)|SAN_OPTIONS' || true); do
    if [[ -v $name ]]; then printf 'export %s=%q\n' "$name" "${!name}"; fi
  done
}

make_command() {
  local root=$work/command
  mkdir -p "$root"
  {
    passed_environment
    printf 'cd %q\n' "$repository"
    printf '%q ' "$@"
    echo
  } >"$root/command"
  cp "$here/start" "$root/start"
  printf '%s\n' "$(uname_of_kernel)" >"$root/version"
  printf '%s\n' "$cache/kernel/lib/modules" >"$root/modules_from"
  printf '%s\n' "$repository" "$cache" ${LANWRIGHT_GUEST_SHARE:+"$LANWRIGHT_GUEST_SHARE"} >"$root/shares"
  (cd "$root" && find . | cpio --quiet -o -H newc) >"$work/command.img"
  cat "$cache/kernel/initrd.img" "$work/command.img" >"$work/initrd.img"
}

uname_of_kernel() { basename "$cache"/kernel/lib/modules/*; }

# --- the machine ---

processes=()
told=false  # how it ended has been said
# shellcheck disable=SC2317  # called by the trap
stop_all() {
  local pid
  for pid in "${processes[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
  $told || die "stopped before the command ended"
}

# Ends with us, however we end.
tied() { exec setpriv --pdeathsig KILL "$@"; }

start_file_server() {
  tied /usr/lib/qemu/virtiofsd --socket-path="$work/fs.sock" -o source=/ -o cache=always -o sandbox=chroot -o log_level=warn \
    >"$work/virtiofsd.log" 2>&1 </dev/null &
  processes+=($!)
  local server=$!
  until [[ -S $work/fs.sock ]]; do
    kill -0 "$server" 2>/dev/null || die "virtiofsd does not start: $(cat "$work/virtiofsd.log")"
    sleep 0.02  # it has no way to say so
  done
}

port() {
  printf '%s\n' -chardev "file,id=$1,path=$work/$1" -device "virtserialport,chardev=$1,name=$1"
}

# Emulated processors may block each other for ever in the kernel: then the machine ends after a minute, and a second
# try finds another one.
run_machine() {
  local ports
  mapfile -t ports < <(port out && port err && port status)
  tied timeout --kill-after=5 "$limit" setpriv --pdeathsig KILL qemu-system-x86_64 \
    -nodefaults -no-user-config -display none -no-reboot -accel tcg,thread=multi -cpu max -smp 2 -m "${memory}M" \
    -object "memory-backend-memfd,id=mem,size=${memory}M,share=on" -numa node,memdev=mem \
    -chardev "socket,id=fs,path=$work/fs.sock" -device vhost-user-fs-pci,chardev=fs,tag=root \
    -device virtio-serial-pci "${ports[@]}" -serial "file:$work/console" \
    -kernel "$cache/kernel/boot/vmlinuz-$(uname_of_kernel)" -initrd "$work/initrd.img" \
    -append "console=ttyS0 quiet panic=-1 watchdog_thresh=30 softlockup_panic=1" >"$work/qemu.log" 2>&1 </dev/null &
  processes+=($!)
  local status=0
  wait $! || status=$?
  echo "$status" >"$work/qemu.status"
}

explain_and_fail() {
  {
    tail -n 40 "$work/qemu.log"
    tail -n 40 "$work/virtiofsd.log"
    tail -n 40 "$work/console"
  } >&2 2>/dev/null || true
  [[ $(cat "$work/qemu.status") != 124 ]] || die "stopped: not done after $limit s"
  die "the machine ended without the result of the command"
}

work=$(mktemp -d /tmp/lanwright-guest.XXXXXX)
trap stop_all EXIT
trap 'exit $failed' INT TERM HUP
prepare
mkfifo "$work/out" "$work/err"
touch "$work/status" "$work/console"
make_command "$@"
start_file_server
cat "$work/out" &
readers=($!)
cat "$work/err" >&2 &
readers+=($!)
processes+=("${readers[@]}")
run_machine
: 1<>"$work/out" 2<>"$work/err"  # lets the readers go if the machine never came as far as opening these
wait "${readers[@]}" || true

[[ -z ${LANWRIGHT_GUEST_CONSOLE:-} ]] || cp "$work/console" "$LANWRIGHT_GUEST_CONSOLE"
[[ $(<"$work/status") =~ ^exit\ ([0-9]+)$ ]] || explain_and_fail
told=true
exit "${BASH_REMATCH[1]}"
