#!/usr/bin/env bash
# Installs, on Debian, what the end-to-end tests run containers and build images with, and what a few other tests talk to.
set -euo pipefail
packages=(
  containerd runc containernetworking-plugins iptables iproute2 conntrack   # nodes
  buildah skopeo mmdebstrap                                                   # images
  tinyproxy nginx libnginx-mod-stream                                         # a hospital's proxy, the door as the chart has it
  zsh fish libfaketime                                                        # shells that complete, clocks that are wrong
)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null
