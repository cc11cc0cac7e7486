import { describe, expect, it } from "vitest";

import { rules, type Checked } from "../../policy/rules";
import { deploy } from "./support/deploy";

const violations = (resource: Checked) =>
  rules.filter(({ check }) => check(resource).length > 0).map(({ name }) => name);
const container = "docker:index/container:Container";
const good = {
  hostname: "nginx",
  capabilities: { drops: ["ALL"], adds: [] },
  securityOpts: ["no-new-privileges"],
  memory: 64,
  logDriver: "json-file",
  logOpts: { "max-size": "10m" },
  envs: ["MYSQL_ROOT_PASSWORD_FILE=/run/password"],
  ports: [{ internal: 443, external: 443 }],
};

describe("the policy pack", () => {
  it.each([
    {},
    { grafana: true, grafanaDomain: "grafana.torrust.org", hybrid: true, database: "mysql", ipv6: true },
    { grafana: true, grafanaDomain: "grafana.torrust.org", tlsProxy: "nginx" },
  ])("finds nothing wrong with a stack configured by %j", async (values) => {
    const { resources } = await deploy({ ...values, protectData: true });
    const found = resources.flatMap(({ type, name, inputs, options }) =>
      violations({ type, props: inputs, protect: options.protect === true }).map(
        (rule) => `${name}: ${rule}`,
      ),
    );
    expect(found).toEqual([]);
  });

  it.each<[string, object, string[]]>([
    ["a privileged one", { privileged: true }, ["no-privileges"]],
    [
      "one that keeps a capability",
      { capabilities: { drops: ["ALL"], adds: ["CAP_SYS_ADMIN"] } },
      ["no-privileges"],
    ],
    ["one that drops none", { capabilities: { drops: [] } }, ["no-privileges"]],
    ["one that may gain privileges", { securityOpts: [] }, ["no-privileges"]],
    ["one in the host's network", { networkMode: "host" }, ["no-privileges"]],
    ["one with a device", { devices: [{ hostPath: "/dev/kmsg" }] }, ["no-privileges"]],
    ["one with the socket", { volumes: [{ hostPath: "/var/run/docker.sock" }] }, ["no-docker-socket"]],
    ["one with the socket's folder", { volumes: [{ hostPath: "/var/run" }] }, ["no-docker-socket"]],
    ["one without a limit", { memory: undefined }, ["bounded"]],
    ["one whose log grows", { logOpts: {} }, ["bounded"]],
    ["a password to be read by anybody", { envs: ["ADMIN_PASSWORD=x"] }, ["no-secret-in-environment"]],
    ["a published database", { hostname: "mysql", ports: [{ internal: 3306 }] }, ["published-ports"]],
    [
      "a tracker's API",
      { hostname: "tracker", ports: [{ internal: 1212, protocol: "tcp" }] },
      ["published-ports"],
    ],
  ])("refuses %s", (_what, change, expected) => {
    expect(violations({ type: container, props: good, protect: false })).toEqual([]);
    expect(violations({ type: container, props: { ...good, ...change }, protect: false })).toEqual(expected);
  });

  it.each<[string, string, object, string[]]>([
    ["docker:index/network:Network", "an open network", { name: "x-metrics" }, ["internal-networks"]],
    ["docker:index/remoteImage:RemoteImage", "no tag", { name: "host:5000/nginx" }, ["pinned-images"]],
    ["docker:index/remoteImage:RemoteImage", "a moving tag", { name: "nginx:latest" }, ["pinned-images"]],
    ["docker:index/volume:Volume", "a volume that goes", { name: "x-tracker" }, ["protected-data"]],
  ])("refuses for %s %s", (type, _what, props, expected) => {
    expect(violations({ type, props: { ...props }, protect: false })).toEqual(expected);
  });

  it("lets people have volumes that go with the stack", () => {
    expect(rules.filter(({ level }) => level === "advisory").map(({ name }) => name)).toEqual([
      "protected-data",
    ]);
  });
});
