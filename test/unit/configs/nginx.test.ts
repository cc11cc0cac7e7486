import { describe, expect, it } from "vitest";

import { renderNginxConfig, type NginxModel } from "../../../configs/nginx";

const grafana = {
  name: "grafana",
  domain: "grafana.torrust.org",
  port: 3443,
  hostPort: 3443,
  upstream: "10.230.7.21:3000",
};
const model: NginxModel = {
  sites: [
    { name: "api", domain: "api.torrust.org", port: 443, hostPort: 8443, upstream: "10.230.7.20:1212" },
    {
      name: "http-tracker-7070",
      domain: "tracker.torrust.org",
      port: 443,
      hostPort: 8443,
      upstream: "10.230.7.20:7070",
    },
    grafana,
  ],
  plain: [],
  httpPort: 80,
  publicHttpPort: 8080,
  redirects: {
    "tracker.torrust.org": "https://tracker.torrust.org",
    "api.torrust.org": "https://api.torrust.org",
    "grafana.torrust.org": "https://grafana.torrust.org:3443",
  },
  strictTransport: true,
  ipv6: false,
  rateLimit: { requests: 100, exempt: ["10.230.7.1"] },
};
const hybrid: NginxModel = { ...model, sites: [grafana] };

/** The blocks `server { … }`, each as the list of its lines. */
function servers(config: string): string[][] {
  return [...config.matchAll(/^ {2}server \{\n([\s\S]*?)^ {2}\}/gm)].map(([, body]) =>
    body!.trim().split(/\s*\n\s*/),
  );
}
const serverOf = (config: string, domain: string) =>
  servers(config).find((lines) => lines.includes(`server_name ${domain};`))!;

describe("nginx.conf", () => {
  it("in front of everything", () =>
    expect(renderNginxConfig(model)).toMatchFileSnapshot("golden/nginx.conf"));
  it("limits what one client may ask for, but not those who share an address", () => {
    const config = renderNginxConfig(model);
    expect(config).toMatch(/geo \$exempt \{\s+default 0;\s+10\.230\.7\.1 1;\s+\}/);
    expect(config).toContain("limit_req zone=clients burst=1000 nodelay;");
    expect(renderNginxConfig({ ...model, rateLimit: { requests: 0, exempt: [] } })).not.toContain(
      "limit_req",
    );
  });
  describe("with IPv6", () => {
    const config = renderNginxConfig({
      ...model,
      ipv6: true,
      rateLimit: { requests: 100, exempt: ["10.230.7.1", "fd00:7::1"] },
    });

    it("listens on it wherever it listens on IPv4", () => {
      for (const lines of servers(config)) {
        const listens = lines.filter((line) => line.startsWith("listen "));
        const ipv4 = listens.filter((line) => !line.includes("[::]") && !line.includes("127.0.0.1"));
        expect(listens.filter((line) => line.includes("[::]"))).toEqual(
          ipv4.map((line) => line.replace("listen ", "listen [::]:")),
        );
      }
      expect(config.match(/listen \[::\]:/g)).toHaveLength(servers(config).length - 1);
    });

    it("counts a client's requests by the /64 that it has to itself, save for the engine's own address", () => {
      expect(config).toContain("    0 $client_network;");
      expect(config).toContain("    fd00:7::1 1;");
    });
  });

  it("in front of Grafana alone", () =>
    expect(renderNginxConfig(hybrid)).toMatchFileSnapshot("golden/nginx-hybrid.conf"));

  it("gives each site a server with its own certificate and upstream", () => {
    const config = renderNginxConfig(model);
    for (const { name, domain, port, upstream } of model.sites) {
      expect(serverOf(config, domain)).toEqual(
        expect.arrayContaining([
          `listen ${port} ssl http2;`,
          `ssl_certificate $certificates/${domain}.pem;`,
          `ssl_certificate_key $certificates/${domain}.pem;`,
          `proxy_pass http://${name};`,
        ]),
      );
      expect(config).toContain(`upstream ${name} {\n    server ${upstream};`);
    }
  });

  it("reads certificates when they are needed, so that it starts without them", () => {
    for (const [, path] of renderNginxConfig(model).matchAll(/ssl_certificate(?:_key)? (.+);/g))
      expect(path).toContain("$");
  });

  it.each([
    [model, [443, 3443]],
    [hybrid, [3443]],
  ])("rejects other names on every port with TLS", (given, ports) => {
    const rejecting = servers(renderNginxConfig(given)).filter((lines) =>
      lines.includes("ssl_reject_handshake on;"),
    );
    expect(rejecting.map(([listen]) => listen)).toEqual(
      ports.map((port) => `listen ${port} ssl http2 default_server;`),
    );
    for (const lines of rejecting) expect(lines).toContain("return 421;");
  });

  it("takes a name with its own ports and with no other", () => {
    const config = renderNginxConfig(model);
    expect(serverOf(config, "api.torrust.org")).toContain('if ($http_host !~ "^[^:]*(:(443|8443))?$") {');
    expect(serverOf(config, grafana.domain)).toContain('if ($http_host !~ "^[^:]*(:(3443))?$") {');
  });

  it("takes a request line as long as the tracker's", () => {
    const [, size] = /large_client_header_buffers \d+ (\d+)k;/.exec(renderNginxConfig(model))!;
    expect(Number(size) * 1024).toBeGreaterThanOrEqual("GET  HTTP/1.1\r\n".length + 65_534);
  });

  it("answers plain HTTP with challenges and redirects for its names, and not at all for others", () => {
    const [named, others] = ["listen 80;", "listen 80 default_server;"].map((listen) =>
      servers(renderNginxConfig(hybrid)).find((lines) => lines[0] === listen),
    );
    expect(named).toContain("server_name api.torrust.org grafana.torrust.org tracker.torrust.org;");
    expect(named).toEqual(
      expect.arrayContaining(["root /etc/letsencrypt/webroot;", "return 301 $https_url$request_uri;"]),
    );
    expect(others).toEqual(["listen 80 default_server;", "return 444;"]);
    expect(renderNginxConfig(hybrid)).toContain("grafana.torrust.org https://grafana.torrust.org:3443;");
  });

  describe("without TLS", () => {
    const plain = [
      { name: "http-tracker-7070", domain: "tracker.torrust.org", upstream: "10.230.7.20:7070" },
    ];
    const plainServer = (given: NginxModel) =>
      servers(renderNginxConfig({ ...given, plain })).find(
        (lines) => lines[0] === "listen 80;" && lines[1] === "server_name tracker.torrust.org;",
      )!;

    it.each([
      ["its own site", model],
      ["another proxy's", hybrid],
    ])("answers announces, scrapes and the health check of %s, and redirects the rest", (_whose, given) => {
      const lines = plainServer(given);
      const proxied = lines.flatMap((line, index) =>
        lines[index + 1] === "proxy_pass http://http-tracker-7070;" ? [line] : [],
      );
      expect(proxied).toEqual([
        "location = /announce {",
        "location = /scrape {",
        "location = /health_check {",
        "location /announce/ {",
        "location /scrape/ {",
      ]);
      expect(lines).toEqual(
        expect.arrayContaining(["root /etc/letsencrypt/webroot;", "return 301 $https_url$request_uri;"]),
      );
      const upstreams = renderNginxConfig({ ...given, plain }).match(/upstream http-tracker-7070 /g);
      expect(upstreams).toHaveLength(1);
    });

    it("takes the name with its own port, or none", () => {
      expect(plainServer(model).join("\n")).toContain(
        'if ($http_host !~ "^[^:]*(:(80|8080))?$") {\nreturn 421;',
      );
    });

    it("leaves all other names to HTTPS", () => {
      const others = servers(renderNginxConfig({ ...model, plain })).find((lines) =>
        lines.includes("server_name api.torrust.org grafana.torrust.org;"),
      )!;
      expect(others.join()).not.toContain("proxy_pass");
    });

    it("serves it where no other name is left", () => {
      const redirects = { "tracker.torrust.org": "https://tracker.torrust.org" };
      expect(renderNginxConfig({ ...model, plain, redirects })).not.toContain("server_name ;");
    });
  });

  it.each([
    ["the client's address, whatever the client claims", "proxy_set_header X-Forwarded-For $remote_addr;"],
    ["the name with its port, by which Grafana knows its own origin", "proxy_set_header Host $http_host;"],
    ["whether they came by TLS", "proxy_set_header X-Forwarded-Proto $scheme;"],
    ["an upgrade to WebSocket", "proxy_set_header Upgrade $upgrade;"],
    ["no claim of a proxy before it", 'proxy_set_header Forwarded "";'],
  ])("tells upstreams %s", (_what, line) => expect(renderNginxConfig(model)).toContain(line));

  it("never appends to a header that the tracker believes", () =>
    expect(renderNginxConfig(model)).not.toContain("$proxy_add_x_forwarded_for"));

  it("upgrades to WebSocket and to nothing else", () =>
    expect(renderNginxConfig(model)).toContain(
      'map $http_upgrade $upgrade {\n    default "";\n    ~*^websocket$ websocket;',
    ));

  it("lets a WebSocket be silent for a day", () =>
    expect(serverOf(renderNginxConfig(hybrid), grafana.domain)).toContain("proxy_read_timeout 1d;"));

  it("speaks TLS 1.2 and 1.3 with forward secrecy and authenticated encryption only", () => {
    const config = renderNginxConfig(model);
    expect(config).toContain("ssl_protocols TLSv1.2 TLSv1.3;");
    const [, ciphers = ""] = /ssl_ciphers (.+);/.exec(config)!;
    for (const cipher of ciphers.split(":")) expect(cipher).toMatch(/^ECDHE-(ECDSA|RSA)-.*(GCM|POLY1305)/);
  });

  it("asks for HTTPS only where browsers trust the certificate", () => {
    expect(serverOf(renderNginxConfig(model), grafana.domain).join()).toContain("Strict-Transport-Security");
    expect(renderNginxConfig({ ...model, strictTransport: false })).not.toContain("Strict-Transport");
  });

  it("logs no request: their addresses hold tokens and keys", () => {
    const config = renderNginxConfig(model);
    expect(config).toContain("access_log off;");
    for (const { domain } of model.sites) expect(serverOf(config, domain).join()).not.toContain("error_log");
    expect(config).toContain("  error_log stderr emerg;");
  });

  it("does not depend on the order of the redirects", () => {
    const redirects = Object.fromEntries(Object.entries(model.redirects).reverse());
    expect(renderNginxConfig({ ...model, redirects })).toBe(renderNginxConfig(model));
  });
});
