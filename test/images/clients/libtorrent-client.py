"""libtorrent-client.py TORRENTS DOWNLOADS: downloads, and shares what is there, until it is stopped."""

import glob
import sys

import libtorrent

torrents, downloads = sys.argv[1:]
told = libtorrent.alert.category_t
session = libtorrent.session({
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "validate_https_trackers": True,
    # Everybody is served at once.
    "unchoke_slots_limit": -1,
    "listen_interfaces": "0.0.0.0:6881",
    "alert_mask": told.tracker_notification | told.error_notification,
})
for path in sorted(glob.glob(f"{torrents}/*.torrent")):
    parameters = libtorrent.add_torrent_params()
    parameters.ti = libtorrent.torrent_info(path)
    parameters.save_path = downloads
    # Nothing waits for its turn.
    parameters.flags &= ~(libtorrent.torrent_flags.auto_managed | libtorrent.torrent_flags.paused)
    session.add_torrent(parameters)
while True:
    session.wait_for_alert(1000)
    for alert in session.pop_alerts():
        print(alert, flush=True)
