#!/bin/bash
# lanwright in a minute: builds it, lets it make the LANs of quickstart.yaml, breaks one, and watches it being repaired.
# Everything happens in a network namespace of this script's own: nothing of the host is touched, nothing is left behind
# but the build directory. usage: sudo examples/quickstart.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bold='' plain=''
[[ ! -t 1 ]] || bold=$'\e[1m' plain=$'\e[0m'
say() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }
run() { printf '$ %s\n' "$*" && "$@"; }
fail() { printf '\nquickstart failed: %s\n' "$*" >&2 && exit 1; }

if [[ ${LANWRIGHT_QUICKSTART:-} != inside ]]; then
  [[ $EUID -eq 0 ]] || fail "it makes network namespaces and must be run as root: sudo $0"
  say "Installing what is needed, and building"
  tests/packages.sh build test
  cmake --preset release >/dev/null
  cmake --build --preset release --target lanwrightd lanwright
  # All processes started in there end with it.
  LANWRIGHT_QUICKSTART=inside exec unshare --net --mount --pid --fork --kill-child --mount-proc "$0"
fi

trap 'exit 130' INT TERM
mount -t tmpfs tmpfs /run       # a private one: the agent's files, the names of the namespaces
mkdir -p /run/netns /run/lanwright /run/state
ip link set lo up
links() { ip -brief link | awk '{print $1}'; }
links_before=$(links)
PATH=$PWD/build/release/bin:$PATH
export LANWRIGHT_SOCKET=/run/lanwright/api.sock

say "Three hosts: network namespaces, as containers have them; the router forwards"
for host in alice router carol; do run ip netns add "$host" && ip -n "$host" link set lo up; done
ip netns exec router sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1

say "The agent"
command=(lanwrightd --state-dir /run/state --run-dir /run/lanwright)
printf '$ %s &\n' "${command[*]}"
"${command[@]}" &>/run/agent.log &
agent=$!
until lanwright status &>/dev/null; do
  kill -0 "$agent" 2>/dev/null || fail "the agent ended: $(cat /run/agent.log)"
  ((SECONDS < 30)) || fail "the agent does not answer: $(cat /run/agent.log)"
  sleep 0.05
done
lanwright status

say "What should be there: two LANs, three hosts on them, a tap for a virtual machine"
run lanwright apply -f examples/quickstart.yaml --wait=30s
run lanwright get networks
run lanwright get attachments -o wide

say "alice reaches carol, through the router and both LANs"
run ip netns exec alice ping -c 2 -i 0.2 -w 10 10.10.2.12
run ip netns exec alice ping -c 2 -i 0.2 -w 10 fd00:10:2::12

say "Applying the same file again: nothing to do"
run lanwright diff

say "Somebody deletes the bridge of the office LAN"
run ip link del lw-office

say "It is back, with everything that was plugged in; this is what happened"
run lanwright status --wait converged=10s
run lanwright events --limit 8
run ip link show lw-office
run ip netns exec alice ping -c 2 -i 0.2 -w 10 10.10.2.12

say "Removing the set removes what was made for it, and nothing else"
run lanwright delete set quickstart --wait=30s
[[ $(links) == "$links_before" ]] || fail "links are left: $(links)"

kill -TERM "$agent"
wait "$agent" || fail "the agent did not stop cleanly: $(cat /run/agent.log)"
say "Done. Nothing is left of it."
