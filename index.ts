import { TrackerDeployment } from "./components/deployment";
import { LocalHost } from "./components/hosts/local";
import { readSettings } from "./settings";

const settings = readSettings();
const host = new LocalHost("torrust-host", settings);
const deployment = new TrackerDeployment("torrust", settings, { providers: [host.engine] });

/** Public URLs: `api`, `trackers`, `grafana`. */
export const urls = deployment.urls;
/** What goes into torrents: `http` and `udp`. */
export const announceUrls = deployment.announceUrls;
/** Where the published ports are reached: `ipv4`, `ipv6`. */
export const addresses = host.addresses;
/** Secret: token of the tracker's API. */
export const adminToken = deployment.adminToken;
/** Secret: password of Grafana's user `admin`. */
export const grafanaAdminPassword = deployment.grafanaAdminPassword;
/** Names of the data volumes by what they hold. */
export const volumes = deployment.volumes;
/** Who terminates TLS for what; see README.md. */
export const mode = deployment.mode;
/** Who issues the certificates. */
export const acme = settings.acme.kind === "none" ? "none" : settings.acme.name;
/** Who may announce what. */
export const trackerMode = settings.tracker.mode;
