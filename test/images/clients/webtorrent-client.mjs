// webtorrent-client.mjs TORRENTS DOWNLOADS: downloads until it is stopped.
import console from "node:console";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

import WebTorrent from "webtorrent";

const [torrents, downloads] = process.argv.slice(2);
const client = new WebTorrent({
  dht: false,
  lsd: false,
  utPex: false,
  utp: false,
  natUpnp: false,
  natPmp: false,
});
client.on("error", (error) => console.log(String(error)));
for (const file of readdirSync(torrents).filter((name) => name.endsWith(".torrent")))
  client
    .add(readFileSync(join(torrents, file)), { path: downloads })
    .on("warning", (warning) => console.log(file, warning, warning.cause));
