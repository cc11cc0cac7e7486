import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";

import { renderCertbotScript } from "../../../configs/certbot";
import { renderNginxConfig, renderNginxSite, renderNginxStart, type NginxSite } from "../../../configs/nginx";
import { shellWords } from "../../../configs/shell";

const site: NginxSite = {
  name: "grafana",
  domain: "grafana.torrust.org",
  port: 3443,
  upstream: "10.230.7.21:3000",
  strictTransport: true,
};

describe("nginx.conf", () => {
  const config = renderNginxConfig({
    httpPort: 80,
    httpsPorts: [443, 3443],
    redirects: {
      "api.torrust.org": "https://api.torrust.org",
      "grafana.torrust.org": "https://grafana.torrust.org:3443",
    },
  });

  it("of a whole stack", () => expect(config).toMatchFileSnapshot("golden/nginx.conf"));

  it("rejects the handshake for names that it does not serve, on every port", () => {
    for (const port of [443, 3443])
      expect(config).toMatch(
        new RegExp(`listen ${port} ssl http2 default_server;\\s+ssl_reject_handshake on;`),
      );
  });

  it("overwrites what clients say about their address", () => {
    expect(config).toContain("proxy_set_header X-Forwarded-For $remote_addr;");
    expect(config).not.toContain("$proxy_add_x_forwarded_for");
  });

  it("redirects to the port that serves", () => {
    expect(config).toContain("    grafana.torrust.org https://grafana.torrust.org:3443;");
  });

  it("knows no protocol older than TLS 1.2", () => {
    expect(config.match(/ssl_protocols .*;/g)).toEqual(["ssl_protocols TLSv1.2 TLSv1.3;"]);
  });
});

describe("a site of nginx", () => {
  it("as it is", () => expect(renderNginxSite(site)).toMatchFileSnapshot("golden/nginx-site.conf"));

  it("leaves live connections open for long", () => {
    expect(renderNginxSite(site)).toMatch(/location \/api\/live\/ \{[^}]*proxy_read_timeout 1h;/);
  });

  it("binds browsers to HTTPS only with a certificate that they trust", () => {
    expect(renderNginxSite(site)).toContain("Strict-Transport-Security");
    expect(renderNginxSite({ ...site, strictTransport: false })).not.toContain("Strict-Transport-Security");
  });
});

it("renders nginx's start script", () =>
  expect(renderNginxStart(["api.torrust.org", "grafana.torrust.org"])).toMatchFileSnapshot(
    "golden/nginx-start.sh",
  ));

describe("certbot's script", () => {
  const acme = { directoryUrl: "https://acme-v02.api.letsencrypt.org/directory" };
  const domains = ["api.torrust.org", "grafana.torrust.org"];

  it("of a whole stack", () =>
    expect(renderCertbotScript({ domains, acme })).toMatchFileSnapshot("golden/certbot.sh"));

  it("registers with an e-mail address, or without", () => {
    expect(renderCertbotScript({ domains, acme })).toContain("--register-unsafely-without-email");
    expect(renderCertbotScript({ domains, acme: { ...acme, email: "o'neill@torrust.org" } })).toContain(
      "--email 'o'\\''neill@torrust.org' --no-eff-email",
    );
  });

  it("orders nothing without an authority", () => {
    const script = renderCertbotScript({ domains });
    expect(script).not.toContain("certbot");
    expect(script).toContain("openssl req -x509");
  });
});

describe.each([
  ["nginx's start script", renderNginxStart(["a.org", "b.org"])],
  [
    "certbot's script",
    renderCertbotScript({ domains: ["a.org", "b.org"], acme: { directoryUrl: "https://a.org/dir" } }),
  ],
  ["certbot's script without an authority", renderCertbotScript({ domains: ["a.org", "b.org"] })],
])("%s", (_what, script) => {
  it("is a script that a POSIX shell can read", () => {
    expect(spawnSync("sh", ["-n"], { input: script }).stderr.toString()).toBe("");
  });

  it.skipIf(spawnSync("shellcheck", ["--version"]).error)("passes shellcheck", () => {
    expect(spawnSync("shellcheck", ["--shell=sh", "-"], { input: script }).stdout.toString()).toBe("");
  });
});

it.each([
  [["a b", "c.org"], "'a b' c.org"],
  [["$(id)", "`id`", "a'b"], "'$(id)' '`id`' 'a'\\''b'"],
  [[], ""],
])("quotes %j for the shell", (words, quoted) => expect(shellWords(words)).toBe(quoted));
