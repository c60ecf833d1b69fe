#!/bin/bash
# Containers on LANs of lanwright: a hub that they share with a network namespace of the host. Needs a running lanwrightd
# and dockerd; what it makes it removes again. usage: sudo examples/docker.sh [IMAGE]
set -euo pipefail
image=${1:-busybox}

cleanup() {
  docker rm -f lanwright-one lanwright-two >/dev/null 2>&1 || true
  docker network rm lanwright-lab >/dev/null 2>&1 || true
  lanwright delete set docker-example --wait=20s >/dev/null 2>&1 || true
  ip netns del lanwright-host 2>/dev/null || true
}
trap cleanup EXIT
run() { printf '$ %s\n' "$*" && "$@"; }

ip netns add lanwright-host
# The LAN, with a namespace of the host on it; addresses from .100 on are not Docker's.
lanwright apply --wait=20s -f - <<'YAML'
version: 1
name: docker-example
networks:
  lab: {driver: vde}
attachments:
  host-on-lab: {network: lab, netns: lanwright-host, interface: eth0, addresses: [10.40.0.100/24]}
YAML

# Docker's view of it. Without `-o network` the network would be Docker's alone: docker network create -d lanwright-vde ...
run docker network create -d lanwright -o network=lab --subnet 10.40.0.0/24 --ip-range 10.40.0.0/26 lanwright-lab
run docker run -d --name lanwright-one --network lanwright-lab --ip 10.40.0.11 "$image" sleep 600
run docker run -d --name lanwright-two --network lanwright-lab --ip 10.40.0.12 "$image" sleep 600
run docker exec lanwright-one ping -c 2 -w 10 10.40.0.12
run docker exec lanwright-one ping -c 2 -w 10 10.40.0.100
run lanwright get networks
run lanwright get attachments
