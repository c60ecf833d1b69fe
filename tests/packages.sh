#!/bin/bash
# Installs the Debian 12 packages that a part of the work needs, and only those that are missing.
# usage: tests/packages.sh build|test|docker|guest|lint...
set -euo pipefail

# shellcheck disable=SC2034  # used by name, below
{
build="cmake ninja-build g++ ccache pkg-config libyaml-cpp-dev nlohmann-json3-dev libspdlog-dev libcli11-dev
  libsqlite3-dev libnl-3-dev libboost-dev libsystemd-dev libcpp-httplib-dev libgtest-dev
  libgmock-dev libvdeplug-dev libpcap-dev libssl-dev"
test="iproute2 iptables nftables iputils-ping procps util-linux vde-switch vdeplug tcpdump systemd dbus openvswitch-switch openvswitch-testcontroller python3-os-ken"
docker="docker.io docker-compose busybox-static tar frr"
guest="qemu-system-x86 user-mode-linux busybox-static cpio kmod util-linux udev network-manager dbus"
lint="clang-format clang-tidy python3 shellcheck"
}

wanted=()
for part in "$@"; do
  case $part in
    build | test | docker | guest | lint) read -ra names <<<"$(tr '\n' ' ' <<<"${!part}")" && wanted+=("${names[@]}") ;;
    *) echo "usage: $0 build|test|docker|guest|lint..." >&2 && exit 2 ;;
  esac
done

missing=()
for name in "${wanted[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$name")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

if [[ $EUID -ne 0 ]]; then
  echo "$0: these packages are missing and only root can install them: ${missing[*]}" >&2
  exit 1
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
quiet=(-qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
apt-get "${quiet[@]}" update

# What their packages would start, now or at the next boot, would change this machine's own links and firewall.
declare -A services=(
  [docker.io]="docker.service docker.socket"
  [frr]="frr.service"
  [openvswitch-switch]="openvswitch-switch.service ovs-vswitchd.service ovsdb-server.service ovs-record-hostname.service"
  [openvswitch-testcontroller]="openvswitch-testcontroller.service"
  [network-manager]="NetworkManager.service NetworkManager-wait-online.service NetworkManager-dispatcher.service"
)
unwanted=()
for name in "${missing[@]}"; do read -ra names <<<"${services[$name]:-}" && unwanted+=("${names[@]}"); done
# 101: no service is started. A policy that the machine has stays as it is.
policy=/usr/sbin/policy-rc.d
if [[ ${#unwanted[@]} -gt 0 && ! -e $policy ]]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
apt-get "${quiet[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null </dev/null
if [[ ${#unwanted[@]} -gt 0 ]] && command -v systemctl >/dev/null; then
  systemctl --quiet disable "${unwanted[@]}"
fi
