#!/bin/bash
# Builds the directory from which `docker plugin create NAME DIRECTORY` makes a managed plugin: the agent in a
# container that dockerd starts, so that nothing needs to be installed on the host.
# usage: docker-plugin.sh [--driver DRIVER] [--from PLACE] DIRECTORY
#
#   --driver  of all networks that are made through the plugin; otherwise their option `driver` says
#   --from    a build's bin directory or the prefix of an installation; otherwise those beside this script
set -euo pipefail

die() {
  echo "$0: $1" >&2
  exit "${2:-1}"
}
usage() { die "usage: $0 [--driver DRIVER] [--from PLACE] DIRECTORY" 2; }

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
from=$here/../build/release/bin
[[ -d $from ]] || from=$here/../.. # installed as PREFIX/lib/lanwright/docker-plugin.sh
driver=
while [[ ${1:-} == --* ]]; do
  [[ -n ${2:-} ]] || usage
  case $1 in
    --driver) driver=$2 ;;
    --from) from=$2 ;;
    *) usage ;;
  esac
  shift 2
done
[[ $# -eq 1 && -n $1 ]] || usage
directory=$1
rootfs=$directory/rootfs

# find_program NAME PLACE...
find_program() {
  local name=$1 place
  shift
  for place in "$@"; do
    [[ ! -x $place/$name ]] || { echo "$place/$name" && return; }
  done
  die "there is no $name in $*"
}

daemon=$(find_program lanwrightd "$from" "$from/sbin")
client=$(find_program lanwright "$from" "$from/bin")
plug=$(find_program lanwright-plug "$from" "$from/lib/lanwright")
init=$(find_program lanwright-init "$from" "$from/lib/lanwright")
ext=$(find_program vde_ext "$from" "$from/lib/lanwright")
switch=$(find_program vde_switch /usr/bin /bin /usr/local/bin)

if [[ -n $driver ]]; then
  printf 'version: 1\nnetworks:\n  lan:\n    driver: "%s"\n' "$driver" | "$client" validate -f - >/dev/null ||
    die "there is no driver $driver"
fi
# What it would follow is not in the container, and may begin after Docker.
[[ $driver != ovs ]] || die "a managed plugin does not see the database of Open vSwitch; install lanwright for its networks"
[[ ! -e $directory || -z $(ls -A "$directory") ]] || die "$directory is not empty"
trap 'rm -rf "$rootfs"' EXIT # half of it is of no use

# --- the root file system ---

# One system's directories, and paths of Docker's: it names namespaces below /var/run.
mkdir -p "$rootfs"/{dev,etc,hosttmp,proc,sys,tmp,run/docker,usr/{bin,lib,lib64,sbin},var/lib/lanwright}
for name in bin lib lib64 sbin; do ln -s "usr/$name" "$rootfs/$name"; done
ln -s ../run "$rootfs/var/run"
touch "$rootfs/etc/hosts" "$rootfs/etc/resolv.conf" # dockerd mounts the host's there
echo 'root:x:0:0:root:/:/usr/sbin/nologin' >"$rootfs/etc/passwd"
echo 'root:x:0:' >"$rootfs/etc/group"

# "NAME => PATH (ADDRESS)", and the loader as "PATH (ADDRESS)"
libraries_of() {
  local listed
  listed=$(ldd "$1")
  [[ $listed != *"not found"* ]] || die "$1 lacks libraries: $listed"
  grep -oE '/[^ ]+' <<<"$listed"
}

# put FILE DESTINATION: a program or module, without what only debuggers read (where there is the tool for it), and its
# libraries, in the directory where the loader looks without a cache.
put() {
  local libraries library place
  libraries=$(libraries_of "$1")
  install -D -m 755 "$1" "$rootfs$2"
  if command -v strip >/dev/null; then strip --strip-debug "$rootfs$2"; fi
  for library in $libraries; do
    place=$libdir/${library##*/}
    [[ $library != */ld-linux* ]] || place=$library
    [[ -e $rootfs$place ]] || install -D -m 755 "$library" "$rootfs$place"
  done
}

libdir=$(readlink -f "$(libraries_of "$daemon" | grep '/libc\.so')")
libdir=${libdir%/*}
put "$daemon" /usr/sbin/lanwrightd
put "$client" /usr/bin/lanwright
put "$plug" /usr/lib/lanwright/lanwright-plug
put "$init" /usr/lib/lanwright/lanwright-init
put "$switch" /usr/bin/vde_switch
# libvdeplug loads a module for each kind of network by its full path; the plug asks for this one.
module=$(readlink -f "$(libraries_of "$plug" | grep '/libvdeplug\.so')")
module=${module%/*}/vdeplug/libvdeplug_vde.so
put "$module" "$module"

# What Kathara runs in here, or its users by hand as its documentation has it, by the host's programs: a shell that has
# `cat`, what plugs interfaces in, and what makes a VLAN.
put "$ext" /usr/local/bin/vde_ext
put "$(readlink -f /bin/sh)" /usr/bin/sh
put "$(find_program cat /usr/bin /bin)" /usr/bin/cat
put "$(find_program ip /usr/sbin /sbin /usr/bin /bin)" /usr/bin/ip

# What lets bridged frames through the host's firewall, as the host's own iptables is, with its extensions, which it
# needs for reading other rules, too.
if [[ -z $driver || $driver == bridge ]]; then
  tables=$(readlink -f "$(find_program iptables /usr/sbin /sbin)")
  put "$tables" "/usr/sbin/${tables##*/}"
  for name in iptables ip6tables; do ln -s "${tables##*/}" "$rootfs/usr/sbin/$name"; done
  install -D -m 644 -t "$rootfs$libdir/xtables" "$libdir"/xtables/lib{xt,ipt,ip6t}_*.so
fi

# --- what dockerd is told ---

# Of capabilities(7) those that Docker does not give to every container; the unit of systemd says what for. The run
# directory is below the mounted one: the host's own lanwright and QEMU can get at the sockets. NAME.sock is the
# agent's socket for that driver. Processes have a namespace of their own: the kernel ends all of one together, and
# containerd hears of the end of its init only. Of those in the host's it takes about thirty at a time, and a second for
# each further one. The init is ours, and starts the agent again beside its switches. Docker mounts namespaces in netns
# below its directory, which after a boot is not there until the first container: so the plugin is given the whole.
# Kathara looks for `tmp`, and sets the source of `xtables_lock`: a default that is not there would keep the plugin from
# being enabled, and nf_tables has no such lock.
cat >"$directory/config.json" <<JSON
{
  "description": "lanwright: declarative networks${driver:+, driver $driver}",
  "documentation": "",
  "entrypoint": ["/usr/lib/lanwright/lanwright-init", "/usr/sbin/lanwrightd", "--state-dir=/var/lib/lanwright",
                 "--run-dir=/var/lib/lanwright/run", "--docker-socket-dir=/run/docker/plugins",
                 "--docker-switch-dir=/hosttmp/katharanp", "--group=root"],
  "workdir": "/",
  "interface": {
    "types": ["docker.networkdriver/1.0", "docker.ipamdriver/1.0"],
    "socket": "lanwright${driver:+-$driver}.sock"
  },
  "network": {"type": "host"},
  "pidhost": false,
  "mounts": [
    {"name": "docker", "description": "network namespaces of containers", "type": "bind", "settable": ["source"],
     "source": "/var/run/docker", "destination": "/run/docker", "options": ["rbind", "rslave"]},
    {"name": "state", "description": "what the agent remembers, and its sockets", "type": "bind",
     "settable": ["source"], "source": "/var/lib/lanwright-plugin", "destination": "/var/lib/lanwright",
     "options": ["rbind", "rw"]},
    {"name": "tmp", "description": "ways to the switches, and process ids, which end with the container",
     "type": "tmpfs", "source": "tmpfs", "destination": "/hosttmp", "options": ["nosuid", "nodev", "mode=0755"]},
    {"name": "xtables_lock", "description": "lock of the host's legacy iptables, /run/xtables.lock where it has one",
     "type": "bind", "settable": ["source"], "source": "/dev/null", "destination": "/run/xtables.lock",
     "options": ["rbind", "rw"]}
  ],
  "linux": {
    "capabilities": ["CAP_NET_ADMIN", "CAP_NET_BROADCAST", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE"],
    "devices": [{"name": "tun", "description": "taps", "path": "/dev/net/tun", "settable": ["path"]}]
  }
}
JSON
trap - EXIT
