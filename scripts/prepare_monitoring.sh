#!/usr/bin/env bash
# Installs, on Debian, the Prometheus that the alerts and dashboards are tested with, and sees to it that it serves nobody.
set -euo pipefail
if dpkg-query -W -f='${Status}' prometheus 2>/dev/null | grep -q 'install ok installed'; then exit 0; fi
# Debian starts a service when it installs one, but not one that is masked.
if [ -d /run/systemd/system ]; then systemctl mask --quiet prometheus; fi
apt-get update -qq
RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends prometheus >/dev/null
