import { TrackerDeployment } from "./components/deployment";
import { createHost } from "./components/hosts";
import { readSettings } from "./settings";

const settings = readSettings();
const host = createHost("torrust-host", settings);
const deployment = new TrackerDeployment(
  "torrust",
  { ...settings, addresses: host.addresses },
  { providers: [host.engine], transformations: host.tie && [host.tie] },
);
const { grafanaAdminPassword } = deployment;

/** The stack's outputs; README.md says what each one means. What does not run is absent. */
export = {
  urls: deployment.urls,
  announceUrls: deployment.announceUrls,
  addresses: host.addresses,
  ...(host.ssh && { ssh: host.ssh, dnsRecords: deployment.dnsRecords }),
  adminToken: deployment.adminToken,
  ...(grafanaAdminPassword && { grafanaAdminPassword }),
  volumes: deployment.volumes,
  mode: deployment.mode,
  acme: settings.acme.kind === "none" ? "none" : settings.acme.name,
  trackerMode: settings.tracker.mode,
  countDownloads: settings.tracker.countDownloads,
};
