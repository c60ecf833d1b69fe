#!/bin/bash
# Unpacks the Docker of another suite of Debian's in a directory, where the tests with Docker use it:
#
#   tests/docker/engine.sh trixie|sid DIRECTORY
#   LANWRIGHT_TEST_DOCKER=DIRECTORY build/release/bin/network_test
#
# Nothing is installed, and apt's own lists stay as they are. A directory that has one already is left alone.
set -euo pipefail

[[ $# -eq 2 ]] || { sed -n '2,5s/^# \?//p' "$0" >&2 && exit 2; }
suite=$1 directory=$2
[[ ! -e $directory/usr/sbin/dockerd ]] || exit 0

mkdir -p "$directory"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch"/{lists,archives}/partial "$scratch"/root
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $suite main" \
  >"$scratch/sources.list"
apt=(-qq -o "Dir::Etc::SourceList=$scratch/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$scratch/lists"
  -o "Dir::Cache::Archives=$scratch/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root)
apt-get "${apt[@]}" update

# The machine has what these take from others: a libc that is new enough for them, runc, iptables.
(cd "$scratch" && apt-get "${apt[@]}" download docker.io docker-cli containerd)
for package in "$scratch"/*.deb; do dpkg-deb -x "$package" "$scratch/root"; done
"$scratch/root/usr/sbin/dockerd" --version
mv "$scratch"/root/* "$directory"
