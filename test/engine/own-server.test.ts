import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";

import { renderCloudInit } from "../../configs/cloud-init";
import { readScript } from "../../scripts";
import { sshKeyPair } from "../../configs/ssh-key";
import { waitForEngine } from "../../gates/engine";
import { fetchLocal } from "../e2e/support/clients";
import { buildImages, type ImageName } from "../images/build";
import { ensureVmImage } from "../images/vm";
import { ContainerMachines, run, whyNoMachines } from "../stand-ins/hetzner/machines";
import { CliStack, hasPulumi } from "./support/cli";
import { exampleValues } from "./support/example";

const obstacle = !hasPulumi()
  ? "there is no pulumi on PATH"
  : inject("engine")
    ? whyNoMachines()
    : "no Docker engine answers";
if (obstacle) console.warn(`SKIPPED: the real Pulumi engine on a server of one's own, because ${obstacle}`);

/** What the example deploys. */
const images: readonly ImageName[] = [
  ...(["pingoo", "guardBase", "tracker", "prometheus", "jsonExporter", "blackbox"] as const),
  ...(["alertmanager", "nodeExporter", "python", "grafana"] as const),
];

describe.skipIf(obstacle)("the real Pulumi engine on a server of one's own", { timeout: 600_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-own-server-"));
  const keyFile = join(folder, "key");
  const hostKey = sshKeyPair(Buffer.alloc(32, 44));
  const [server, volume] = [1, 4712];
  const machines = new ContainerMachines({
    name: "torrust-pingoo-own-server",
    subnet: "10.213.53.0/24",
    subnet6: "fd66:7069:6e67:53::/64",
    preload: folder,
  });
  const host = machines.ipv4[0]!;
  const api = `https://${String(exampleValues("examples/Pulumi.own-server.yaml").apiDomain)}/api/health_check`;
  let stack: CliStack;

  beforeAll(async () => {
    const log = (line: string) => console.log(line);
    const [references] = await Promise.all([buildImages({ log }), ensureVmImage(log)]);
    const preloaded = images.map((name) => references[name]);
    await run("docker", "save", "--output", join(folder, "images.tar"), ...preloaded);
    await run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keyFile);
    await machines.open();
    await machines.createVolume(volume, 1);
    await machines.create({
      server,
      name: "own-server",
      userData: renderCloudInit({
        hostKey,
        volumeDevice: `/dev/disk/by-id/scsi-0HC_Volume_${volume}`,
        script: readScript,
      }),
      publicKeys: [(await run("cat", `${keyFile}.pub`)).trim()],
      ipv4: host,
      ipv6: "fd66:7069:6e67:53::1",
    });
    await machines.attach(server, volume);
    const target = { host, port: 22, user: "root", hostKey: hostKey.publicKey, keyFile };
    await waitForEngine({ target, setsItselfUp: true, timeout: 300 });
    stack = await CliStack.fresh("own-server");
  }, 1_800_000);

  afterAll(async () => {
    await machines.close();
    stack.forget();
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  it("deploys the example, settles at once, and leaves nothing behind", async () => {
    stack.configure({
      ...exampleValues("examples/Pulumi.own-server.yaml"),
      ssh: { host, hostKey: hostKey.publicKey },
      sshKeyFile: keyFile,
      publishAddresses: ["0.0.0.0"],
      acme: "none",
      protectData: false,
    });
    await stack.up();
    expect((await fetchLocal(api, { address: host })).status).toBe(200);
    await stack.unchanged();
    await stack.refresh();
    await stack.unchanged();
    await stack.destroy();
    const left = "docker ps -aq; docker volume ls -q; docker network ls -q --filter type=custom";
    expect(await machines.exec(server, "sh", "-c", left)).toBe("");
  });
});
