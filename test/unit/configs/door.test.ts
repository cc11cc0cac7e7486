import { describe, expect, it } from "vitest";

import { renderDoorConfig, renderDoorScript, type DoorModel } from "../../../configs/door";
import { readScript } from "../../../scripts";

const tracker = {
  name: "http-tracker-7070",
  domain: "tracker.torrust.org",
  port: 443,
  hostPort: 443,
  upstream: "10.230.7.20:7070",
};
const grafana = {
  name: "grafana",
  domain: "grafana.torrust.org",
  port: 3443,
  hostPort: 3443,
  upstream: "10.230.7.21:3000",
};
const model: DoorModel = {
  sites: [tracker, grafana],
  plain: { port: 80, publicPort: 8080, sites: [tracker] },
  pingoo: "10.230.7.10:443",
};
const config = renderDoorConfig(model);
const listens = (given: string) =>
  [...given.matchAll(/listen (.+);/g)]
    .map(([, address]) => address!)
    .filter((address) => !/^127/.test(address));

describe("the door's nginx.conf", () => {
  it("looks like this", () => expect(config).toMatchFileSnapshot("golden/door.conf"));

  it("listens on IPv6 alone, where the world comes in", () => {
    for (const address of listens(config)) expect(address).toMatch(/^(\[::\]:|unix:)/);
  });

  it("speaks no TLS but 1.3, as Pingoo does, with the groups that OpenSSL has", () => {
    expect(config.match(/ssl_protocols .+;/g)).toEqual(["ssl_protocols TLSv1.3;"]);
    expect(config).not.toContain("ssl_ecdh_curve");
  });

  it("hands to Pingoo what authorities ask for (RFC 8737), and nothing that asks for more besides", () => {
    expect(config).toMatch(/acme-tls\/1 unix:\/tmp\/challenges.sock;\n +default unix:\/tmp\/https.sock;/);
    expect(config.match(/proxy_pass 10\.230\.7\.10:443;/g)).toHaveLength(1);
  });

  it("believes an address from itself alone, and passes on no other", () => {
    expect(config.match(/set_real_ip_from .+;/g)).toEqual(["set_real_ip_from unix:;"]);
    expect(config).toContain("proxy_set_header X-Forwarded-For $remote_addr;");
    expect(
      listens(config).filter((address) => /proxy_protocol/.test(address) && !/^unix:/.test(address)),
    ).toEqual([]);
  });

  it("refuses foreign names on every port", () => {
    expect(
      config.match(/ssl http2(?: proxy_protocol)? default_server;\n +ssl_reject_handshake on;/g),
    ).toHaveLength(2);
    expect(config).toContain("listen [::]:80 default_server;\n    return 404;");
  });

  it("looks into no handshake where Grafana alone is served, on a port of its own", () => {
    const alone = renderDoorConfig({ sites: [grafana], pingoo: model.pingoo });
    expect(listens(alone)).toEqual(["[::]:3443 ssl http2 default_server", "[::]:3443 ssl http2"]);
    expect(alone).not.toContain("stream {");
  });

  it("has Grafana beside the others where it is", () => {
    const beside = renderDoorConfig({ ...model, sites: [tracker, { ...grafana, port: 443, hostPort: 443 }] });
    expect(listens(beside)).not.toContain("[::]:3443 ssl http2");
    expect(beside).toContain("server_name grafana.torrust.org;");
  });

  it("has no room for what is asked of nginx elsewhere: it redirects nothing, and tells browsers nothing", () =>
    expect(config).not.toMatch(/return 301|Strict-Transport|limit_req|acme-challenge/));
});

it("door.sh", () =>
  expect(
    renderDoorScript(readScript("door.sh"), ["tracker.torrust.org", "grafana.torrust.org"]),
  ).toMatchFileSnapshot("golden/door.sh"));
