import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { plainHttp, udpOnly } from "../support/config";
import { deploy, isSecret, promised, type Deployed, type UploadedFile } from "../support/deploy";

const grafana = { grafana: true, grafanaDomain: "grafana.torrust.org" };
const measuring = ["blackbox", "json-exporter", "node-exporter", "prometheus", "udp-probe"];
const backup = { backup: { repository: "/srv/backup" }, backupPassword: "correct-horse-battery" };
const everything = { ...grafana, ...backup, hybrid: true, database: "mysql", ipv6: true };
const containers = ({ resources }: Deployed) =>
  resources.filter(({ type }) => type === "docker:index/container:Container");
const services = (deployed: Deployed) =>
  containers(deployed)
    .map(({ inputs }) => inputs.hostname)
    .sort();

describe("a stack", () => {
  it("is identified by these types and names", async () => {
    const { resources } = await deploy(everything);
    const list = resources.map(({ type, name, parent }) => `${type} ${name} < ${parent ?? "stack"}`).sort();
    await expect(`${list.join("\n")}\n`).toMatchFileSnapshot("golden/resources.txt");
  });

  it("keeps the parts of monitoring that were the deployment's own before, and what is theirs by its name", async () => {
    const { deployment, resources } = await deploy(everything);
    const parts = resources.filter(({ parent }) => parent === "torrust-monitoring");
    expect(parts).toHaveLength(7);
    for (const { name, options } of parts)
      expect(options.aliases).toEqual([
        { name: name.replace("torrust-monitoring-", "torrust-"), parent: deployment },
      ]);
  });

  it("names every resource after its parent", async () => {
    const { resources } = await deploy(everything);
    for (const { name, parent } of resources.filter(({ parent }) => parent))
      expect(name).toMatch(new RegExp(`^${parent}-`));
  });

  it.each([
    [{ prometheus: false }, ["pingoo", "tracker"]],
    [{}, ["alertmanager", ...measuring, "pingoo", "tracker"]],
    [{ alerts: false }, [...measuring, "pingoo", "tracker"]],
    [
      { alerts: false, udpTrackers: [] },
      [...measuring.filter((name) => name !== "udp-probe"), "pingoo", "tracker"],
    ],
    [grafana, ["alertmanager", ...measuring, "grafana", "pingoo", "tracker"]],
    [
      { ...grafana, hybrid: true },
      ["alertmanager", ...measuring, "certbot", "grafana", "nginx", "pingoo", "tracker"],
    ],
    [{ prometheus: false, tlsProxy: "nginx" }, ["certbot", "nginx", "tracker"]],
    [{ prometheus: false, database: "mysql" }, ["mysql", "pingoo", "tracker"]],
    [udpOnly, ["tracker"]],
    [{ ...udpOnly, tlsProxy: "nginx" }, ["tracker"]],
    [
      { ...udpOnly, prometheus: true },
      ["alertmanager", ...measuring.filter((name) => name !== "blackbox"), "tracker"],
    ],
    [
      { ...udpOnly, ...grafana, hybrid: true, prometheus: true, alerts: false },
      ["certbot", ...measuring, "grafana", "nginx", "tracker"],
    ],
    [
      { trackerSchemaVersion: "3.0.0", images: { tracker: `torrust/tracker@sha256:${"a".repeat(64)}` } },
      ["alertmanager", ...measuring.filter((name) => name !== "json-exporter"), "pingoo", "tracker"],
    ],
  ])("configured by %j runs %j", async (values, expected) => {
    expect(services(await deploy(values))).toEqual([...expected].sort());
  });

  it("has no networks but those it needs", async () => {
    const networks = async (values: object) =>
      (await deploy({ ...values })).resources
        .filter(({ type }) => type.includes("network:Network"))
        .map(({ inputs }) => [inputs.name, inputs.internal]);
    expect(await networks({ prometheus: false })).toEqual([["torrust-pingoo-dev-edge", false]]);
    expect(await networks({ database: "mysql" })).toEqual([
      ["torrust-pingoo-dev-edge", false],
      ["torrust-pingoo-dev-metrics", true],
      ["torrust-pingoo-dev-database", true],
    ]);
  });

  it("protects its data when asked, and nothing else", async () => {
    const { resources } = await deploy({ ...everything, protectData: true });
    const guarded = resources.filter(({ options }) => options.protect || options.retainOnDelete);
    expect(guarded.map(({ inputs }) => inputs.name).sort()).toEqual(
      [
        "alertmanager",
        "backup",
        "grafana",
        "letsencrypt",
        "mysql",
        "prometheus",
        "textfile",
        "tls",
        "tracker",
      ].map((volume) => `torrust-pingoo-dev-${volume}`),
    );
    expect((await deploy(everything)).resources.some(({ options }) => options.protect)).toBe(false);
  });

  it("builds images on the engine that it deploys to, wherever Pulumi runs", async () => {
    const { resources } = await deploy();
    const builds = resources.flatMap(({ type, inputs }) =>
      type === "docker:index/remoteImage:RemoteImage" && inputs.build ? [inputs.build] : [],
    );
    expect(builds).toEqual([expect.objectContaining({ context: "guard", useLegacyBuilder: true })]);
  });

  it("shares no name, address or port with another on the same engine", async () => {
    const taken = async (stack: string) =>
      containers(await deploy({ ...everything, publishAddresses: ["127.0.0.1"] }, stack)).flatMap(
        ({ inputs }) => [
          inputs.name,
          ...inputs.networksAdvanced.map(({ ipv4Address }: { ipv4Address: string }) => ipv4Address),
        ],
      );
    const [a, b] = [await taken("a"), await taken("b")];
    expect(a.filter((name) => b.includes(name))).toEqual([]);
  });

  it("registers the same resources in a preview", async () => {
    const names = async (preview: boolean) =>
      (await deploy(everything, "dev", preview)).resources.map(({ name }) => name);
    expect(await names(true)).toEqual(await names(false));
  });
});

describe("the outside", () => {
  it("reaches the proxies and the UDP trackers, nothing else", async () => {
    const deployed = await deploy({ ...everything, publishAddresses: ["0.0.0.0", "::"] });
    const published = containers(deployed).flatMap(({ inputs }) =>
      (inputs.ports ?? []).map((port: { ip: string; external: number; internal: number; protocol: string }) =>
        [inputs.hostname, port.ip, port.external, port.internal, port.protocol].join(" "),
      ),
    );
    expect(published.sort()).toEqual([
      "door :: 443 443 tcp",
      "nginx 0.0.0.0 3443 3443 tcp",
      "nginx 0.0.0.0 80 80 tcp",
      "nginx :: 3443 3443 tcp",
      "nginx :: 80 80 tcp",
      "pingoo 0.0.0.0 443 443 tcp",
      "tracker 0.0.0.0 6969 6969 udp",
      "tracker :: 6969 6969 udp",
    ]);
  });

  it("meets Grafana where the configuration says", async () => {
    const own = await deploy(grafana);
    expect(own.deployment.mode).toBe("pingoo-tcp");
    expect(parse(own.file("pingoo", "/etc/pingoo/pingoo.yml")).listeners.grafana.address).toBe(
      "tcp+tls://0.0.0.0:3443",
    );

    const shared = await deploy({ ...grafana, grafanaOnHttps: true });
    expect(shared.deployment.mode).toBe("pingoo-https");
    expect(shared.deployment.urls.grafana).toBe("https://grafana.torrust.org");
    const { listeners, services } = parse(shared.file("pingoo", "/etc/pingoo/pingoo.yml"));
    expect(Object.keys(listeners).filter((name) => !name.startsWith("https"))).toEqual([]);
    expect(listeners.https.services).toContain("grafana");
    expect(services.grafana.http_proxy).toHaveLength(1);
    expect(shared.container("pingoo").ports).toHaveLength(1);
  });

  it("meets no API without a name for it", async () => {
    const deployed = await deploy({ apiDomain: "" });
    expect(deployed.deployment.urls).toEqual({ trackers: ["https://tracker.torrust.org"] });
    const { services, tls } = parse(deployed.file("pingoo", "/etc/pingoo/pingoo.yml"));
    expect(Object.keys(services)).toEqual(["http-tracker-7070", "http-tracker-7070-respelt"]);
    expect(tls.acme.domains).toEqual(["tracker.torrust.org"]);
    expect(deployed.file("prometheus", "/etc/prometheus/prometheus.yml")).not.toContain("/api/health_check");
  });

  it("meets Grafana alone where only UDP is served", async () => {
    const deployed = await deploy({ ...udpOnly, ...grafana, prometheus: true });
    const { listeners, services } = parse(deployed.file("pingoo", "/etc/pingoo/pingoo.yml"));
    expect(Object.keys(listeners).filter((name) => !name.startsWith("grafana"))).toEqual([]);
    expect(Object.keys(services)).toEqual(["grafana"]);
    expect(deployed.container("pingoo").ports).toMatchObject([{ external: 3443 }]);
    expect(JSON.parse(deployed.file("pingoo", "/etc/guard/guard.json")).listeners).toMatchObject([
      { name: "grafana" },
    ]);
    expect(deployed.file("pingoo", "/etc/guard/rules.nft")).not.toContain("tcp dport 443 ");
  });

  it("asks an ACME directory that a private CA vouches for", async () => {
    const acmeCaCertificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const deployed = await deploy({ acme: "https://acme.test/dir", acmeCaCertificate });
    expect(deployed.file("pingoo", "/etc/pingoo/acme-ca.pem")).toBe(acmeCaCertificate);
    expect(deployed.container("pingoo").envs).toEqual(["SSL_CERT_FILE=/etc/pingoo/acme-ca.pem"]);
    expect(parse(deployed.file("pingoo", "/etc/pingoo/pingoo.yml")).tls.acme).toEqual({
      directory_url: "https://acme.test/dir",
      domains: ["api.torrust.org", "tracker.torrust.org"],
    });
  });

  it("finds upstreams at the addresses that the containers have", async () => {
    const deployed = await deploy(grafana);
    const address = (service: string, network: string) =>
      deployed
        .container(service)
        .networksAdvanced.find(({ name }: { name: string }) => name.endsWith(network)).ipv4Address;
    const { services } = parse(deployed.file("pingoo", "/etc/pingoo/pingoo.yml"));
    expect(services.api.http_proxy).toEqual([`http://${address("tracker", "edge")}:1212`]);
    expect(services["http-tracker-7070"].http_proxy).toEqual([`http://${address("tracker", "edge")}:7070`]);
    expect(services.grafana.tcp_proxy).toEqual([`tcp://${address("grafana", "edge")}:3000`]);
  });
});

describe("secrets", () => {
  it("are generated unless they are configured", async () => {
    const { deployment } = await deploy(grafana);
    expect(await promised(deployment.adminToken)).toBe("secret-of-torrust-admin-token");
    expect(await promised(deployment.grafanaAdminPassword!)).toBe("secret-of-torrust-grafana-password");
  });

  it("appear in private files only: in no environment, command, label or public file", async () => {
    const deployed = await deploy({ ...everything });
    for (const { inputs } of containers(deployed)) {
      const { uploads, ...rest } = deployed.container(inputs.hostname);
      expect(JSON.stringify(rest)).not.toContain("secret-of-");
      for (const { content, permissions, file } of uploads as UploadedFile[])
        if (content.includes("secret-of-"))
          expect({ file, permissions }).toEqual({ file, permissions: "0640" });
    }
  });

  it("are marked as such wherever they are uploaded", async () => {
    const deployed = await deploy(everything);
    const holders = containers(deployed).filter(({ inputs }) =>
      JSON.stringify(inputs.uploads).includes("secret-of-"),
    );
    expect(holders.map(({ inputs }) => inputs.hostname ?? "backup").sort()).toEqual([
      "backup",
      "backup-dump",
      "grafana",
      "mysql",
      "prometheus",
      "tracker",
    ]);
    for (const { inputs } of holders) expect(isSecret(inputs.uploads)).toBe(true);
  });

  it("reach Prometheus as a token of its own, so that it can be revoked alone", async () => {
    const deployed = await deploy(grafana);
    expect(deployed.file("prometheus", "/etc/prometheus/prometheus.yml")).toContain(
      "secret-of-torrust-metrics-token",
    );
    expect(deployed.file("prometheus", "/etc/prometheus/prometheus.yml")).not.toContain("admin-token");
    expect(deployed.file("tracker", "/etc/torrust/tracker/tracker.toml")).toContain(
      "secret-of-torrust-metrics-token",
    );
  });

  it("reach a newer tracker's scraper as a file", async () => {
    const deployed = await deploy({
      trackerSchemaVersion: "3.0.0",
      images: { tracker: `torrust/tracker@sha256:${"a".repeat(64)}` },
    });
    expect(deployed.file("prometheus", "/etc/prometheus/tracker-token")).toBe(
      "secret-of-torrust-metrics-token",
    );
    expect(deployed.file("prometheus", "/etc/prometheus/prometheus.yml")).not.toContain("secret-of-");
  });
});

describe("every container", () => {
  it("is hardened", async () => {
    const deployed = await deploy(everything);
    for (const { inputs } of containers(deployed)) {
      const container = deployed.container(inputs.hostname);
      expect(container).toMatchObject({
        capabilities: { drops: ["ALL"] },
        securityOpts: ["no-new-privileges"],
        restart: "always",
        memory: expect.any(Number),
        memorySwap: 2 * container.memory,
      });
      // Files cannot be put into a root file system that is not writable.
      expect(container.readOnly).toBe(container.uploads.length === 0);
      expect(container.privileged).toBeUndefined();
      expect(container.networkMode).toBeUndefined();
      expect(JSON.stringify(container.volumes ?? [])).not.toContain("docker.sock");
    }
  });

  it("keeps no more capabilities than these", async () => {
    const deployed = await deploy(everything);
    const kept = Object.fromEntries(
      containers(deployed).map(({ inputs }) => [
        inputs.hostname ?? "backup",
        deployed.container(inputs.hostname).capabilities.adds,
      ]),
    );
    expect(kept).toEqual({
      pingoo: ["CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_SETPCAP"],
      nginx: [],
      door: [],
      certbot: [],
      tracker: ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID"],
      mysql: [],
      prometheus: [],
      "json-exporter": [],
      blackbox: [],
      grafana: [],
      alertmanager: [],
      "node-exporter": [],
      "udp-probe": [],
      backup: ["CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"],
      "backup-snapshot": ["CAP_CHOWN", "CAP_DAC_READ_SEARCH", "CAP_FOWNER"],
      "backup-dump": [],
    });
  });

  it("goes before its successor comes, because they share name and addresses", async () => {
    for (const { options } of containers(await deploy(everything)))
      expect(options.deleteBeforeReplace).toBe(true);
  });

  it("is replaced by a changed health check, which the provider would only pretend to update", async () => {
    for (const { options } of containers(await deploy(everything)))
      expect(options.replaceOnChanges).toEqual(["healthcheck"]);
  });

  it("keeps a log that is bounded, and none where a program logs a token", async () => {
    const deployed = await deploy(everything);
    for (const { inputs } of containers(deployed)) {
      const { logDriver, logOpts } = deployed.container(inputs.hostname);
      if (inputs.hostname === "json-exporter") expect(logDriver).toBe("none");
      else expect(logOpts).toEqual({ "max-size": "10m", "max-file": "5" });
    }
  });
});

describe("the tracker", () => {
  it("is asked to stop by the signal that it heeds", async () => {
    expect((await deploy()).container("tracker").stopSignal).toBe("SIGINT");
  });

  it("is given the time to stop that its version takes", async () => {
    const newer = {
      trackerSchemaVersion: "3.0.0",
      images: { tracker: `torrust/tracker@sha256:${"a".repeat(64)}` },
    };
    expect((await deploy()).container("tracker").destroyGraceSeconds).toBe(20);
    expect((await deploy(newer)).container("tracker").destroyGraceSeconds).toBe(35);
  });

  it("has IPv6 sockets of their own", async () => {
    expect((await deploy({ ipv6: true })).container("tracker").sysctls).toEqual({
      "net.ipv6.bindv6only": "1",
    });
    expect((await deploy()).container("tracker").sysctls).toBeUndefined();
  });

  it("has the memory that the configuration gives it, and says what it holds where somebody reads it", async () => {
    const read = await deploy({ trackerMemory: 3000 });
    expect(read.container("tracker")).toMatchObject({
      memory: 3000,
      healthcheck: { tests: ["CMD", "/bin/sh", "-c", expect.stringContaining("/metrics/tracker.prom")] },
      volumes: [
        { volumeName: "torrust-pingoo-dev-tracker", containerPath: "/var/lib/torrust/tracker" },
        { volumeName: "torrust-pingoo-dev-textfile", containerPath: "/metrics" },
      ],
    });
    expect(read.file("prometheus", "/etc/prometheus/alerts.rules.yml")).toContain("its limit is 3000 MB");
    const unread = (await deploy({ prometheus: false })).container("tracker");
    expect(unread.healthcheck).toBeUndefined();
    expect(unread.volumes).toHaveLength(1);
  });

  it("waits for its database", async () => {
    const { resources } = await deploy({ database: "mysql" });
    const tracker = resources.find(({ name }) => name === "torrust-tracker");
    expect((tracker?.options.dependsOn as unknown as { __name: string }).__name).toBe("torrust-mysql");
  });

  it("is the same container whatever happens around it", async () => {
    const tracker = async (values: object) => (await deploy({ ...values })).container("tracker");
    const base = await tracker(grafana);
    expect(await tracker({ ...grafana, grafanaOnHttps: true })).toEqual(base);
    expect(await tracker({ ...grafana, grafanaPort: 4443, acme: "letsencrypt-staging" })).toEqual(base);
    expect(await tracker({ ...grafana, hybrid: true })).toEqual(base);
    expect(await tracker({ ...grafana, tlsProxy: "nginx" })).toEqual(base);
    expect(await tracker({ tlsProxy: "nginx" })).toEqual(base);
    expect(await tracker({})).toEqual(base);
    expect(await tracker({ apiDomain: "" })).toEqual(base);
    expect(await tracker(plainHttp)).toEqual(base);
  });
});
