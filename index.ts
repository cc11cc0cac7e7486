import { TrackerDeployment } from "./components/deployment";
import { LocalHost } from "./components/hosts/local";
import { readSettings } from "./settings";

const settings = readSettings();
const host = new LocalHost("torrust-host", settings);
const deployment = new TrackerDeployment("torrust", settings, { providers: [host.engine] });
const { grafanaAdminPassword } = deployment;

/** The stack's outputs; README.md says what each one means. What does not run is absent. */
export = {
  urls: deployment.urls,
  announceUrls: deployment.announceUrls,
  addresses: host.addresses,
  adminToken: deployment.adminToken,
  ...(grafanaAdminPassword && { grafanaAdminPassword }),
  volumes: deployment.volumes,
  mode: deployment.mode,
  acme: settings.acme.kind === "none" ? "none" : settings.acme.name,
  trackerMode: settings.tracker.mode,
};
