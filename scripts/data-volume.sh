#!/bin/sh
## Mounts the data volume, formats one that is empty, and grows its file system to the volume's size; can be
## repeated.
##
## Docker takes every folder beside its volumes for one of them, lost+found too: hence the folder inside the volume.
set -eu
device=/dev/disk/by-id/scsi-0HC_Volume_4711
mount=/srv/torrust
volumes=/var/lib/docker/volumes

# The volume is attached after the server has been made.
waited=0
until [ -b "$device" ]; do
  if [ "$waited" -ge 600 ]; then
    echo "The data volume is not attached: there is no $device." >&2
    exit 1
  fi
  sleep 1
  waited=$((waited + 1))
done

if mountpoint -q "$mount"; then
  resize2fs "$device" || echo "The file system takes the volume's new size when the machine starts again." >&2
else
  found=0
  blkid --probe "$device" >/dev/null || found=$?
  case $found in
    0)
      e2fsck -f -p "$device" || [ $? -eq 1 ]
      resize2fs "$device"
      ;;
    2) mkfs.ext4 -q -m 0 -L torrust "$device" ;;
    *)
      echo "What is on $device cannot be told (blkid: $found); it is left as it is." >&2
      exit 1
      ;;
  esac
  mkdir -p "$mount"
  mount -o noatime "$device" "$mount"
fi

if ! mountpoint -q "$volumes"; then
  mkdir -p "$mount/volumes" "$volumes"
  chmod 0701 "$mount/volumes"
  mount --bind "$mount/volumes" "$volumes"
fi
