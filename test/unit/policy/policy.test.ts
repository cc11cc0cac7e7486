import { describe, expect, it } from "vitest";

import { advice, rules, type Checked } from "../../../policy/rules";
import { plainHttp, udpOnly } from "../support/config";
import { deploy } from "../support/deploy";

const violations = (resource: Checked) =>
  rules.filter(({ check }) => check(resource).length > 0).map(({ name }) => name);
const advised = (resources: readonly Checked[]) => advice.flatMap(({ check }) => check(resources));
/** What a configuration leads to, as the engine shows it to the pack. */
const checked = async (values: Record<string, unknown>): Promise<Checked[]> =>
  (await deploy(values)).resources.map(({ type, inputs, options }) => ({
    type,
    props: inputs,
    protect: options.protect === true,
  }));
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
    udpOnly,
    plainHttp,
  ])("finds nothing wrong with a stack configured by %j", async (values) => {
    const resources = await checked({ ...values, protectData: true });
    const found = resources.flatMap((resource) =>
      violations(resource).map((rule) => `${String(resource.props.name)}: ${rule}`),
    );
    expect(found).toEqual([]);
    expect(advised(resources)).toEqual([]);
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
  ])("refuses for %s %s", (type, _what, props, expected) => {
    expect(violations({ type, props: { ...props }, protect: false })).toEqual(expected);
  });

  it("advises to protect the volumes with data", async () => {
    const stack = await checked({});
    const volumes = stack.filter(({ type }) => type === "docker:index/volume:Volume");
    expect(volumes).not.toEqual([]);
    expect(advised(stack)).toEqual(
      volumes.map(
        ({ props }) =>
          `The volume ${String(props.name)} goes with the stack. Run: pulumi config set protectData true`,
      ),
    );
  });

  it.each([true, false])("asks of a stack with a machine for that machine's volume alone: %s", (protect) => {
    const volume = (kind: string, name: string, kept: boolean) => ({
      type: `${kind}:index/volume:Volume`,
      props: { name },
      protect: kept,
    });
    const stack = [volume("hcloud", "x-data", protect), volume("docker", "x-tracker", false)];
    expect(advised(stack)).toEqual(
      protect ? [] : ["The volume x-data goes with the stack. Run: pulumi config set protectData true"],
    );
  });
});
