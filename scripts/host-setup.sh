#!/bin/sh
## Sets a machine up: one script, because cloud-init reports the failure of the last command only.
set -eu
passwd --lock root
systemctl daemon-reload
systemctl try-reload-or-restart ssh
systemctl enable docker
systemctl restart docker
docker info >/dev/null
sysctl --system >/dev/null
systemctl enable --now systemd-timesyncd unattended-upgrades
mkdir -p /var/lib/torrust-host
touch /var/lib/torrust-host/ready
