import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { plainHttp, udpOnly } from "../support/config";
import { deploy, promised, type Deployed } from "../support/deploy";

const grafana = { grafana: true, grafanaDomain: "grafana.torrust.org" };
const modes = {
  "pingoo-tcp": grafana,
  "pingoo-https": { ...grafana, grafanaOnHttps: true },
  hybrid: { ...grafana, hybrid: true },
  nginx: { ...grafana, tlsProxy: "nginx" },
};
const everywhere = Object.entries(modes);
const nginxConf = (deployed: Deployed) => deployed.file("nginx", "/etc/nginx/nginx.conf");
const script = (deployed: Deployed) => deployed.file("certbot", "/opt/torrust/certbot.sh");
const containers = ({ resources }: Deployed) => resources.filter(({ type }) => type.endsWith(":Container"));
const containerOf = (deployed: Deployed, service: string) =>
  containers(deployed).find(({ inputs }) => inputs.hostname === service)!;
const aliases = (deployed: Deployed, service: string): string[] => [
  `torrust-pingoo-dev-${service}`,
  ...deployed.container(service).networksAdvanced[0].aliases,
];

describe("hybrid mode", () => {
  it("moves Grafana from Pingoo to nginx", async () => {
    const deployed = await deploy(modes.hybrid);
    expect(deployed.deployment.mode).toBe("hybrid");
    const { listeners } = parse(deployed.file("pingoo", "/etc/pingoo/pingoo.yml"));
    expect(Object.keys(listeners).filter((name) => !/^https(-\d+)?$/.test(name))).toEqual([]);
    expect(nginxConf(deployed)).toContain("server_name grafana.torrust.org;");
    expect(nginxConf(deployed)).not.toContain("upstream api");
    expect(script(deployed)).toContain("domains='grafana.torrust.org'");
  });

  it("redirects plain HTTP for Pingoo's names as well", async () => {
    const config = nginxConf(await deploy({ ...modes.hybrid, httpsPort: 8443 }));
    expect(config).toContain("api.torrust.org https://api.torrust.org:8443;");
    expect(config).toContain("grafana.torrust.org https://grafana.torrust.org:3443;");
  });

  it("orders certificates for each name on one side only", async () => {
    const deployed = await deploy(modes.hybrid);
    const { domains } = parse(deployed.file("pingoo", "/etc/pingoo/pingoo.yml")).tls.acme;
    expect(domains).toEqual(["api.torrust.org", "tracker.torrust.org"]);
  });
});

describe("nginx in front", () => {
  it("serves every name, at the upstreams' addresses", async () => {
    const deployed = await deploy(modes.nginx);
    const address = (service: string) => deployed.container(service).networksAdvanced[0].ipv4Address;
    const config = nginxConf(deployed);
    expect(config).toContain(`server ${address("tracker")}:1212;`);
    expect(config).toContain(`server ${address("tracker")}:7070;`);
    expect(config).toContain(`server ${address("grafana")}:3000;`);
    expect(script(deployed)).toContain("domains='api.torrust.org tracker.torrust.org grafana.torrust.org'");
    expect(deployed.container("nginx").ports).toHaveLength(3);
  });

  it("may serve Grafana beside API and trackers, WebSockets included", async () => {
    const deployed = await deploy({ ...modes.nginx, grafanaOnHttps: true });
    expect(deployed.deployment.urls.grafana).toBe("https://grafana.torrust.org");
    expect(deployed.container("nginx").ports).toHaveLength(2);
    expect(nginxConf(deployed)).not.toContain("listen 3443");
  });
});

describe("nginx and certbot", () => {
  it("share one volume, which nginx cannot write", async () => {
    const deployed = await deploy(modes.hybrid);
    const volume = { volumeName: "torrust-pingoo-dev-letsencrypt", containerPath: "/etc/letsencrypt" };
    expect(deployed.container("nginx").volumes).toEqual([{ ...volume, readOnly: true }]);
    const metrics = { volumeName: "torrust-pingoo-dev-textfile", containerPath: "/var/lib/torrust/metrics" };
    expect(deployed.container("certbot").volumes).toEqual([volume, metrics]);
  });

  it("run without privileges: nginx as a user, with port 80 allowed to all", async () => {
    const deployed = await deploy(modes.hybrid);
    expect(deployed.container("nginx")).toMatchObject({
      user: "101:0",
      capabilities: { drops: ["ALL"], adds: [] },
      sysctls: { "net.ipv4.ip_unprivileged_port_start": "0" },
    });
  });

  it("take HSTS and orders from the authority in force", async () => {
    const staging = await deploy({
      ...modes.hybrid,
      acme: "letsencrypt-staging",
      acmeEmail: "a@torrust.org",
    });
    expect(nginxConf(staging)).toContain("Strict-Transport-Security");
    expect(script(staging)).toContain("directory='https://acme-staging-v02.api.letsencrypt.org/directory'");
    expect(script(staging)).toContain("--email 'a@torrust.org'");
    const none = await deploy({ ...modes.hybrid, acme: "none" });
    expect(nginxConf(none)).not.toContain("Strict-Transport-Security");
    expect(script(none)).not.toContain("certbot certonly");
  });

  it("trust a private CA", async () => {
    const acmeCaCertificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const deployed = await deploy({ ...modes.hybrid, acme: "https://acme.test/dir", acmeCaCertificate });
    expect(deployed.container("certbot").envs).toEqual(["REQUESTS_CA_BUNDLE=/opt/torrust/acme-ca.pem"]);
    expect(deployed.file("certbot", "/opt/torrust/acme-ca.pem")).toBe(acmeCaCertificate);
  });
});

describe("switching the proxy", () => {
  it("changes the proxies and nothing else where Grafana keeps its port", async () => {
    const others = async (values: object) => {
      const deployed = await deploy({ ...values });
      const services = ["tracker", "grafana", "prometheus", "json-exporter", "blackbox"];
      return services.map((service) => deployed.container(service));
    };
    const base = await others(grafana);
    expect(await others(modes.hybrid)).toEqual(base);
    expect(await others(modes.nginx)).toEqual(base);
  });

  it.each(everywhere)("to %s keeps both sides' volumes", async (_mode, values) => {
    const { resources } = await deploy({ ...values });
    const volumes = resources.filter(({ parent }) => parent === "torrust-certificates");
    expect(volumes.map(({ name, inputs }) => `${name} ${inputs.name}`)).toEqual([
      "torrust-certificates-tls-volume torrust-pingoo-dev-tls",
      "torrust-certificates-letsencrypt-volume torrust-pingoo-dev-letsencrypt",
    ]);
  });

  it.each([udpOnly, { ...udpOnly, tlsProxy: "nginx" }])("off keeps the volumes of %j", async (values) => {
    const { deployment } = await deploy(values);
    expect(deployment.mode).toBe("none");
    const letsencrypt = "tlsProxy" in values ? ["letsencrypt"] : [];
    expect(Object.keys(deployment.volumes).sort()).toEqual([...letsencrypt, "tls", "tracker"]);
  });

  it("has no volume for certbot where nginx was never an option", async () => {
    expect(Object.keys((await deploy()).deployment.volumes)).not.toContain("letsencrypt");
  });

  it.each(everywhere)(
    "to %s has one resource in front, so that the old container goes first",
    async (mode, values) => {
      const deployed = await deploy({ ...values });
      const front = containerOf(deployed, mode === "nginx" ? "nginx" : "pingoo");
      expect(await promised(deployed.resources.find(({ name }) => name === "torrust-proxy")!.urn)).toBe(
        "urn:pulumi:dev::torrust-pingoo::torrust:deployment:TrackerDeployment$torrust:proxy:TlsProxy::torrust-proxy",
      );
      expect([front.name, front.options.deleteBeforeReplace]).toEqual(["torrust-proxy-container", true]);
    },
  );

  it("to hybrid makes nginx go before Pingoo takes the port back", async () => {
    const deployed = await deploy(modes.hybrid);
    const { options, name } = containerOf(deployed, "nginx");
    expect(name).toBe("torrust-grafana-proxy-container");
    const names = (list: unknown) => (list as { __name: string }[]).map(({ __name }) => __name);
    expect(names(options.replaceWith)).toEqual(["torrust-proxy-container"]);
    expect(names(options.dependsOn)).toEqual(["torrust-proxy-container"]);
  });

  it.each([modes.hybrid, modes.nginx])(
    "orders no certificate before nginx is there to answer: %j",
    async (values) => {
      const deployed = await deploy(values);
      const { options } = containerOf(deployed, "certbot");
      const [nginx] = options.dependsOn as unknown as { __name: string }[];
      expect(nginx?.__name).toBe(containerOf(deployed, "nginx").name);
    },
  );

  it("keeps what was deployed before there was nginx", async () => {
    const { resources } = await deploy(modes.hybrid);
    const former = async (name: string) => {
      const { options } = resources.find((resource) => resource.name === name)!;
      return promised((options.aliases as [import("@pulumi/pulumi").Output<string>])[0]);
    };
    const pingoo =
      "urn:pulumi:dev::torrust-pingoo::torrust:deployment:TrackerDeployment$torrust:service:Pingoo";
    expect(await former("torrust-proxy-container")).toBe(
      `${pingoo}$docker:index/container:Container::torrust-pingoo-container`,
    );
    expect(await former("torrust-certificates-tls-volume")).toBe(
      `${pingoo}$docker:index/volume:Volume::torrust-pingoo-volume`,
    );
  });
});

describe("plain HTTP", () => {
  const own = { httpPort: 8080, ...plainHttp };
  const published = (deployed: Deployed, service: string) =>
    containerOf(deployed, service) &&
    deployed.container(service).ports.find(({ external }: { external: number }) => external === 8080);

  it.each([
    ["pingoo", own],
    ["pingoo-tcp", { ...grafana, ...own }],
  ])("is Pingoo's in mode %s", async (mode, values) => {
    const deployed = await deploy({ ...values });
    expect(deployed.deployment.mode).toBe(mode);
    expect(published(deployed, "pingoo")).toMatchObject({ internal: 80, protocol: "tcp" });
    expect(aliases(deployed, "pingoo")).toContain("plain-http");
    const { listeners, services } = parse(deployed.file("pingoo", "/etc/pingoo/pingoo.yml"));
    expect(listeners.http.services).toEqual(["http-tracker-7070-plain", "http-tracker-7070-plain-respelt"]);
    expect(services["http-tracker-7070-plain"].route).toContain("tracker.torrust.org:8080");
    // No handshake can stall there.
    for (const file of ["guard.json", "rules.nft"])
      expect(deployed.file("pingoo", `/etc/guard/${file}`)).toBe(
        (await deploy({ ...values, ...tlsOnly })).file("pingoo", `/etc/guard/${file}`),
      );
  });
  const tlsOnly = { httpTrackers: [{ domain: "tracker.torrust.org" }] };

  it.each(["hybrid", "nginx"] as const)("is nginx' in mode %s, which has that port", async (mode) => {
    const deployed = await deploy({ ...modes[mode], ...own });
    expect(published(deployed, "nginx")).toMatchObject({ internal: 80 });
    expect(published(deployed, "pingoo")).toBeUndefined();
    expect(aliases(deployed, "nginx")).toContain("plain-http");
    expect(nginxConf(deployed)).toMatch(
      /listen 80;\n {4}server_name tracker\.torrust\.org;(?:[^}]*}){2}\n {4}location = \/announce {\n {6}proxy_pass http:\/\/http-tracker-7070;/,
    );
  });

  it("is closed unless a tracker wants it", async () => {
    const deployed = await deploy({ httpPort: 8080 });
    expect(published(deployed, "pingoo")).toBeUndefined();
    expect(deployed.file("pingoo", "/etc/pingoo/pingoo.yml")).not.toContain("http://0.0.0.0");
    expect(aliases(deployed, "pingoo")).not.toContain("plain-http");
  });

  it("is probed where it is answered, whoever does", async () => {
    const config = async (values: object) =>
      (await deploy({ ...values })).file("prometheus", "/etc/prometheus/prometheus.yml");
    const pingoo = await config({ ...grafana, ...own });
    expect(pingoo).toContain("http://plain-http:80/health_check");
    expect(await config({ ...modes.hybrid, ...own })).toBe(pingoo);
    expect(await config({ ...modes.nginx, ...own })).toBe(pingoo);
  });
});

describe("IPv6", () => {
  const ipv6 = { ipv6: true };
  const ports = (deployed: Deployed, service: string) =>
    containerOf(deployed, service) &&
    deployed
      .container(service)
      .ports.filter(({ ip }: { ip: string }) => ip === "::")
      .map(({ external, internal }: { external: number; internal: number }) => `${external} ${internal}`);
  const pingooModes = { pingoo: {}, ...modes };

  it.each([
    ["pingoo", ["443 443"], undefined],
    ["pingoo-tcp", ["443 443", "3443 3443"], undefined],
    ["pingoo-https", ["443 443"], undefined],
    ["hybrid", ["443 443"], ["80 80", "3443 3443"]],
    ["nginx", undefined, ["80 80", "443 443", "3443 3443"]],
  ] as const)("comes in by the door where Pingoo is, and by nginx itself: %s", async (mode, door, nginx) => {
    const deployed = await deploy({ ...pingooModes[mode], ...ipv6 });
    expect(deployed.deployment.mode).toBe(mode);
    expect([ports(deployed, "door"), ports(deployed, "nginx")]).toEqual([door, nginx]);
    expect(ports(deployed, "pingoo") ?? []).toEqual([]);
    if (nginx) expect(nginxConf(deployed)).toContain("listen [::]:3443 ssl http2;");
  });

  it("has Pingoo's certificates at the door, which writes none, and goes around Pingoo", async () => {
    const deployed = await deploy({ ...grafana, ...ipv6 });
    expect(deployed.container("door")).toMatchObject({
      user: "0:0",
      stopSignal: "SIGTERM",
      volumes: [{ volumeName: "torrust-pingoo-dev-tls", containerPath: "/etc/pingoo/tls", readOnly: true }],
    });
    const config = deployed.file("door", "/etc/nginx/nginx.conf");
    const address = (service: string) => deployed.container(service).networksAdvanced[0].ipv4Address;
    for (const upstream of [`${address("tracker")}:7070`, `${address("grafana")}:3000`])
      expect(config).toContain(`server ${upstream};`);
    expect(config).toContain(`proxy_pass ${address("pingoo")}:443;`);
    expect(deployed.file("door", "/opt/torrust/door.sh")).toContain(
      "domains='api.torrust.org grafana.torrust.org tracker.torrust.org'",
    );
  });

  it("has plain HTTP where a tracker wants it", async () => {
    const deployed = await deploy({ ...plainHttp, httpPort: 8080, ...ipv6 });
    expect(ports(deployed, "door")).toEqual(["443 443", "8080 80"]);
    expect(ports(await deploy({ ...plainHttp, ...modes.hybrid, ...ipv6 }), "door")).toEqual(["443 443"]);
  });

  it.each([
    ["there is none", {}],
    ["none is published", { ...ipv6, publishAddresses: ["0.0.0.0"] }],
    ["names are addresses", { ...ipv6, acme: "none", apiDomain: "127.0.0.1", httpTrackers: [] }],
    ["nginx is in front", { ...ipv6, ...modes.nginx }],
    ["UDP alone is served", { ...ipv6, ...udpOnly }],
  ])("has no door where %s", async (_why, values) => {
    expect(containerOf(await deploy({ ...values }), "door")).toBeUndefined();
  });

  it("has ports that one container gives up before another takes them", async () => {
    const { options } = containerOf(await deploy({ ...modes.hybrid, ...ipv6 }), "door");
    const names = (list: unknown) => (list as { __name: string }[]).map(({ __name }) => __name);
    expect(names(options.replaceWith)).toEqual(["torrust-proxy-container"]);
    expect(names(options.dependsOn)).toEqual(["torrust-proxy-container"]);
  });

  it("is probed where it comes in, whoever that is", async () => {
    const config = async (values: object) =>
      (await deploy({ ...plainHttp, ...values, ...ipv6 })).file(
        "prometheus",
        "/etc/prometheus/prometheus.yml",
      );
    const pingoo = await config(grafana);
    const probes = parse(pingoo).scrape_configs[2].static_configs.flatMap(
      ({ targets: [target], labels }: { targets: string[]; labels: Record<string, string> }) =>
        labels.instance!.endsWith(" (IPv6)")
          ? [[target, labels.__param_module, labels.__param_hostname]]
          : [],
    );
    expect(probes).toEqual([
      ["https://api-ipv6:443/api/health_check", "https-ipv6", "api.torrust.org"],
      ["https://http-tracker-7070-ipv6:443/health_check", "https-ipv6", "tracker.torrust.org"],
      ["http://plain-http-ipv6:80/health_check", "http-ipv6", "tracker.torrust.org"],
      ["https://grafana-ipv6:3443/api/health", "https-ipv6", "grafana.torrust.org"],
    ]);
    for (const [mode, where] of [
      [grafana, { "api-ipv6": "door", "grafana-ipv6": "door", "plain-http-ipv6": "door" }],
      [modes.hybrid, { "api-ipv6": "door", "grafana-ipv6": "nginx", "plain-http-ipv6": "nginx" }],
      [modes.nginx, { "api-ipv6": "nginx", "grafana-ipv6": "nginx", "plain-http-ipv6": "nginx" }],
    ] as const) {
      expect(await config(mode)).toBe(pingoo);
      const deployed = await deploy({ ...plainHttp, ...mode, ...ipv6 });
      for (const [name, service] of Object.entries(where))
        expect(
          ["pingoo", "door", "nginx"].filter(
            (each) => containerOf(deployed, each) && aliases(deployed, each).includes(name),
          ),
        ).toEqual([service]);
    }
  });

  it("lets nginx count those who come through the engine's own proxy as many", async () => {
    const config = nginxConf(await deploy({ ...modes.nginx, ...ipv6 }));
    expect(config).toMatch(/geo \$exempt \{\s+default 0;\s+10\.\d+\.\d+\.1 1;\s+fd[0-9a-f:]+::1 1;/);
  });
});

describe("inside the network", () => {
  it.each(everywhere)("each public name leads to the proxy in force: %s", async (mode, values) => {
    const deployed = await deploy({ ...values });
    const where = (name: string) =>
      ["pingoo", "nginx"].filter(
        (service) => containerOf(deployed, service) && aliases(deployed, service).includes(name),
      );
    expect(where("api.torrust.org")).toEqual([mode === "nginx" ? "nginx" : "pingoo"]);
    expect(where("grafana.torrust.org")).toEqual([mode.startsWith("pingoo") ? "pingoo" : "nginx"]);
  });

  it("probes go to public names, and to an address where that is the name", async () => {
    const targets = async (values: object) =>
      parse(
        (await deploy({ ...values })).file("prometheus", "/etc/prometheus/prometheus.yml"),
      ).scrape_configs[2].static_configs.flatMap(({ targets }: { targets: string[] }) => targets);
    expect(await targets(modes.hybrid)).toEqual([
      "https://api.torrust.org:443/api/health_check",
      "https://tracker.torrust.org:443/health_check",
      "https://grafana.torrust.org:3443/api/health",
    ]);
    expect((await targets({ acme: "none", apiDomain: "127.0.0.1" }))[0]).toMatch(
      /^https:\/\/10\.\d+\.\d+\.10:443\/api\/health_check$/,
    );
  });
});
