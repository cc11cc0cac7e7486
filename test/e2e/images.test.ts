import Docker from "dockerode";
import { get } from "node:https";
import { PassThrough } from "node:stream";
import { afterEach, beforeAll, describe, expect, inject, it } from "vitest";

import { findDocker } from "../../docker/host";
import { buildImages, imageReferences } from "../images/build";

const images = imageReferences();

describe.skipIf(!inject("engine"))("the test images", { timeout: 120_000 }, () => {
  let docker: Docker;
  const started: Docker.Container[] = [];

  beforeAll(async () => {
    const found = await findDocker();
    if (!("docker" in found)) throw new Error("no Docker engine answers");
    ({ docker } = found);
    await buildImages({ docker });
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((container) => container.remove({ force: true, v: true })));
  });

  const create = async (Image: string, options: Docker.ContainerCreateOptions = {}) => {
    const container = await docker.createContainer({ Image, ...options });
    started.push(container);
    await container.start();
    return container;
  };
  const output = async (container: Docker.Container) =>
    (await container.logs({ stdout: true, stderr: true })).toString("utf8");
  /** Runs a container to its end. */
  const run = async (Image: string, options: Docker.ContainerCreateOptions) => {
    const container = await create(Image, options);
    const { StatusCode } = (await container.wait()) as { StatusCode: number };
    return { code: StatusCode, output: await output(container) };
  };
  /** Runs a command in a running container. */
  const exec = async (container: Docker.Container, ...Cmd: string[]) => {
    const command = await container.exec({ Cmd, AttachStdout: true, AttachStderr: true });
    const stream = await command.start({});
    const collected = new PassThrough();
    let text = "";
    collected.on("data", (data: Buffer) => (text += String(data)));
    docker.modem.demuxStream(stream, collected, collected);
    await new Promise((resolve) => stream.on("end", resolve));
    return { code: (await command.inspect()).ExitCode, output: text };
  };
  const eventually = async (condition: () => Promise<boolean>) => {
    for (const end = Date.now() + 60_000; !(await condition());) {
      if (Date.now() > end) throw new Error(`not within a minute: ${condition}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };

  it("are built once", async () => {
    const lines: string[] = [];
    await buildImages({ docker, log: (line) => lines.push(line) });
    expect(lines).toEqual([]);
  });

  describe("mysql", () => {
    const asMysql = { User: "999:0", HostConfig: { CapDrop: ["ALL"] } };

    it.each([
      ["no password", [], /password option is not specified/],
      ["a password in two places", ["MYSQL_ROOT_PASSWORD=x", "MYSQL_ROOT_PASSWORD_FILE=/x"], /exclusive/],
      ["root as the user", ["MYSQL_ROOT_PASSWORD=x", "MYSQL_USER=root"], /regular user/],
    ])("refuses %s", async (_case, Env, message) => {
      const { code, output } = await run(images.mysql, { ...asMysql, Env });
      expect(code).toBe(1);
      expect(output).toMatch(message);
    });

    it("lets in who has the password, from everywhere", async () => {
      const password = String.raw`it's \ "quoted"`;
      const container = await create(images.mysql, {
        ...asMysql,
        Env: [
          `MYSQL_ROOT_PASSWORD=${password}`,
          `MYSQL_PASSWORD=${password}`,
          "MYSQL_USER=u",
          "MYSQL_DATABASE=d",
        ],
      });
      const ping = async () => (await exec(container, "mysqladmin", "ping", "--host=127.0.0.1")).code === 0;
      const query = (user: string, given: string, host: string) =>
        exec(container, "mysql", `-u${user}`, `-p${given}`, `-h${host}`, "-e", "SELECT 1", "d");
      await eventually(ping);
      for (const host of ["127.0.0.1", "localhost"]) {
        expect(await query("u", password, host)).toMatchObject({ code: 0 });
        expect(await query("root", password, host)).toMatchObject({ code: 0 });
        expect((await query("u", "wrong", host)).output).toContain("Access denied");
        expect((await query("root", "", host)).output).toContain("Access denied");
      }
    });
  });

  describe("tracker", () => {
    it("refuses a database that it does not know", async () => {
      const Env = ["TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__DATABASE__DRIVER=oracle"];
      const { code, output } = await run(images.tracker, { Env });
      expect(code).toBe(1);
      expect(output).toContain('Unsupported Database Type: "oracle"');
    });

    it("runs as a user without privileges, healthy by its own check", async () => {
      const CapAdd = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"];
      const container = await create(images.tracker, {
        Env: ["USER_ID=1234"],
        HostConfig: { CapDrop: ["ALL"], CapAdd, SecurityOpt: ["no-new-privileges"] },
      });
      await eventually(async () => (await container.inspect()).State.Health?.Status === "healthy");
      const { output: status } = await exec(container, "cat", "/proc/1/status");
      expect(status).toMatch(/^Uid:\t1234\t/m);
      expect(status).toMatch(/^CapEff:\t0+$/m);
      expect((await exec(container, "stat", "-c", "%a %U", "/etc/torrust/tracker")).output).toBe(
        "770 torrust\n",
      );
    });
  });

  it("pebble's API has a certificate of the authority in its image", async () => {
    const container = await create(images.pebble);
    const host = (await container.inspect()).NetworkSettings.Networks.bridge?.IPAddress;
    const ca = (await exec(container, "cat", "/etc/pebble/ca.pem")).output;
    const directory = () =>
      new Promise<number | undefined>((resolve, reject) => {
        get({ host, port: 14000, path: "/dir", ca }, (response) => {
          response.resume();
          resolve(response.statusCode);
        }).on("error", reject);
      });
    await eventually(async () => (await output(container)).includes("Listening on"));
    expect(await directory()).toBe(200);
  });
});
