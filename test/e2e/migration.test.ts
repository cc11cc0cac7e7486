import type Docker from "dockerode";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { stringify } from "yaml";

import { absentWhen } from "../../docker/calls";
import { unpack } from "../../docker/archive";
import { openVolume } from "../../migrate/volume";
import { findStackEngine } from "../../docker/stack";
import { projectName } from "../../program/project";
import { buildImages, deployedImages } from "../images/build";
import { runHere } from "../images/engine";
import { fetchLocal } from "./support/clients";
import { command } from "./support/command";
import { apiCaOf, eventually, TestStack, type Outputs } from "./support/engine";
import { commandsOf } from "./support/page";
import { expectVerified } from "./support/verify";

const sections = commandsOf("docs/migration.md");
const [httpsPort, httpPort, udpPort, rootsPort] = [27743, 27780, 27967, 27700];
const database = "/var/lib/torrust/tracker/database/sqlite3.db";

describe.skipIf(!inject("engine"))("docs/migration.md", { timeout: 300_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-migration-"));
  /** Nginx with certbot as they were before, on the same ports. */
  let old: TestStack;
  let stack: TestStack;
  let pebble: Docker.Container;
  let outputs: Outputs;
  let values: Record<string, unknown>;
  let ca: string;
  let key: string;
  let serials: string[];
  const nginx = { tlsProxy: "nginx" };

  const endpoints = () => [
    `${outputs.urls.api}/api/health_check`,
    `${outputs.urls.trackers[0]}/health_check`,
  ];
  const serialsNow = () =>
    eventually(() =>
      Promise.all(endpoints().map(async (url) => (await fetchLocal(url, { ca })).certificate.serialNumber)),
    );
  const orders = async () =>
    (await pebble.logs({ stdout: true, stderr: true })).toString("utf8").match(/Added order/g)?.length ?? 0;
  /** The volume that is made before the stack is deployed counts as somebody's data. */
  const forgetVolume = () =>
    absentWhen(404, stack.docker.getVolume("torrust-pingoo-migration-e2e-tls").remove());
  const configuration = () => {
    const file = join(folder, "Pulumi.yaml");
    const config = { publishAddresses: ["127.0.0.1"], images: deployedImages(), ...values };
    writeFileSync(file, stringify({ config }));
    return file;
  };

  beforeAll(async () => {
    const images = await buildImages({ log: (line) => console.log(line) });
    const engine = await findStackEngine(projectName(), "migration-old-e2e");
    const name = `pebble-of-${engine.prefix}`;
    await absentWhen(404, engine.docker.getContainer(name).remove({ force: true, v: true }));
    stack = await TestStack.fresh("migration-e2e");
    await forgetVolume();
    old = await TestStack.fresh("migration-old-e2e");
    pebble = await old.docker.createContainer({
      Image: images.pebble,
      name,
      ExposedPorts: { "15000/tcp": {} },
      HostConfig: { PortBindings: { "15000/tcp": [{ HostIp: "127.0.0.1", HostPort: String(rootsPort) }] } },
    });
    values = {
      apiDomain: "api.torrust.test",
      httpTrackers: [{ domain: "tracker.torrust.test" }],
      udpTrackers: [{ port: udpPort }],
      httpsPort,
      httpPort,
      prometheus: false,
      acme: "https://pebble:14000/dir",
      acmeCaCertificate: await apiCaOf(pebble),
    };
    ({ outputs } = await old.up({ ...values, ...nginx }));
    await old.docker
      .getNetwork(`${engine.prefix}-edge`)
      .connect({ Container: pebble.id, EndpointConfig: { Aliases: ["pebble"] } });
    await pebble.start();
    ca = await eventually(async () =>
      (await fetchLocal(`https://pebble:${rootsPort}/roots/0`)).body.toString(),
    );
    serials = await serialsNow();
    const made = await fetchLocal(`${outputs.urls.api}/api/v1/key/100000?token=${outputs.adminToken}`, {
      method: "POST",
      ca,
    });
    ({ key } = JSON.parse(made.body.toString()) as { key: string });
    // As on a host: certbot's folder, links and all, and the tracker's file.
    const files = await openVolume(engine, outputs.volumes.letsencrypt!, images.pingoo);
    await unpack(await files.archive(), folder);
    await files.close();
    await unpack(await old.container("tracker").getArchive({ path: database }), folder);
    renameSync(join(folder, "sqlite3.db"), join(folder, "tracker.db"));
  }, 1_800_000);
  afterAll(async () => {
    await pebble?.remove({ force: true, v: true });
    await stack?.down();
    await forgetVolume();
    await old?.down();
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  /** Does what a line of the page says to a stack; units of the host are containers of the old one. */
  const run = async (line: string, target: TestStack): Promise<string> => {
    const text = line.replaceAll("production", target.name);
    const [, program, rest = ""] =
      /^(npm run \w+|npx tsx commands\/pulumi\.ts|sudo systemctl|docker) (.*)$/.exec(text) ?? [];
    const args = rest.replace(/^-- /, "").split(" ");
    switch (program) {
      case "npm run migrate": {
        const given = args.map((arg) => (arg === "/etc/letsencrypt" ? join(folder, "volume") : arg));
        const { code, output } = await command("migrate.ts", ...given, "--config", configuration());
        expect([code, output]).toEqual([0, expect.anything()]);
        return output;
      }
      case "npm run up":
        ({ outputs } = await target.up(values));
        return "";
      case "npm run verify":
        await expectVerified(outputs, ca);
        return "";
      case "npm run destroy":
        await target.down();
        return "";
      case "npx tsx commands/pulumi.ts":
        expect(rest).toBe(`config rm tlsProxy --stack ${target.name}`);
        delete values.tlsProxy;
        return "";
      case "sudo systemctl": {
        const [action, ...units] = args;
        for (const unit of units) {
          const container = old.container(unit.replace("torrust-", ""));
          await (action === "stop" ? container.stop() : container.start());
        }
        return "";
      }
      case "docker":
        return runHere({ command: ["sh", "-euc", text], directory: folder });
      default:
        throw new Error(`${line} is a command that this test does not know`);
    }
  };
  const commands = (section: string) => {
    const lines = sections.get(section) ?? [];
    expect(lines.length).toBeGreaterThan(0);
    return lines;
  };

  it("moves from nginx and certbot on the same host, with the data, and back", async () => {
    const lines = commands("From nginx and certbot on the same host");
    const back = lines.findIndex((line) => line.startsWith("npm run destroy"));
    const ordered = await orders();
    const said: string[] = [];
    for (const line of lines.slice(0, back)) said.push(await run(line, stack));
    expect(said[0]).toMatch(/would be moved[\s\S]*would be moved[\s\S]*Nothing was changed/);
    expect(said[1]).toMatch(/moved.*live\/api\.torrust\.test/);
    expect(await serialsNow()).toEqual(serials);
    for (const line of commands("The tracker's data")) await run(line, stack);
    await expectVerified(outputs, ca);
    expect(await run(lines[1]!, stack)).toMatch(/it is there already[\s\S]*it is there already/);
    const moved = await stack.files("tracker", database);
    expect([...moved.values()].map(({ content }) => content).join()).toContain(key);
    for (const line of lines.slice(back)) await run(line, stack);
    expect(await serialsNow()).toEqual(serials);
    expect(await orders()).toBe(ordered);
  });

  it("moves from nginx for everything, and back", async () => {
    const ordered = await orders();
    values = { ...values, ...nginx };
    for (const line of commands("From this project's hybrid mode, or nginx for everything"))
      await run(line, old);
    expect(outputs.mode).not.toBe("nginx");
    expect(await serialsNow()).toEqual(serials);
    await expectVerified(outputs, ca);
    ({ outputs } = await old.up({ ...values, ...nginx }));
    expect(await serialsNow()).toEqual(serials);
    expect(await orders()).toBe(ordered);
  });
});
