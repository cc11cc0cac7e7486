import type Docker from "dockerode";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";

import { projectDir } from "../../../program/project";
import { main } from "../../../commands/start";
import { chooseImages, isUnreachable, neededImages } from "../../../start/images";
import { silentProgress } from "../../../terminal/terminal";
import { defaultImages } from "../../../stack/images";

const built = vi.hoisted(() => ({ asked: [] as unknown[] }));
vi.mock("../../images/build", () => ({
  aptPackages: [],
  buildImages: async ({ only }: { only: string[] }) => {
    built.asked.push(only);
    return { pingoo: "local/pingoo:1", tracker: "local/tracker:1", grafana: "local/grafana:1" };
  },
}));

const folder = mkdtempSync(join(tmpdir(), "start-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

describe("images", () => {
  /** An engine that has some images, and whose pulls end in the given way. */
  const engine = (present: readonly string[], pull: (reference: string) => Error | null) => {
    const pulled: string[] = [];
    const docker = {
      getImage: (reference: string) => ({
        inspect: async () => {
          if (present.includes(reference) || pulled.includes(reference)) return { Id: "sha256:1" };
          throw Object.assign(new Error("no such image"), { statusCode: 404 });
        },
      }),
      pull: async (reference: string) => reference,
      modem: {
        followProgress: (reference: string, done: (error: Error | null) => void) => {
          const error = pull(reference);
          if (!error) pulled.push(reference);
          done(error);
        },
      },
    };
    return { docker: docker as unknown as Docker, pulled };
  };
  const needed = [
    { key: "pingoo", reference: "p:1" },
    { key: "tracker", reference: "t:1" },
    { key: "grafana", reference: "g:1" },
  ] as const;
  const offline = () => new Error("Get https://x/v2/: dial tcp: lookup x: no such host");
  const choose = (docker: Docker, source: "auto" | "published" | "local") =>
    chooseImages({ docker, needed, source, progress: silentProgress });

  test("that are needed are told by the program's references", () => {
    expect(
      neededImages(["mine:1", defaultImages.tracker, "other:2"], {
        pingoo: "mine:1",
        grafana: "not-declared:1",
      }),
    ).toEqual([
      { key: "pingoo", reference: "mine:1" },
      { key: "tracker", reference: defaultImages.tracker },
    ]);
  });

  test("that are there are used, the others pulled", async () => {
    const { docker, pulled } = engine(["p:1"], () => null);
    expect(await choose(docker, "auto")).toMatchObject({ overrides: {} });
    expect(pulled).toEqual(["t:1", "g:1"]);
  });

  test("that no registry gives are built, but only those that are missing", async () => {
    built.asked.length = 0;
    const { docker } = engine(["p:1"], offline);
    const { overrides, said } = await choose(docker, "auto");
    expect(overrides).toEqual({ tracker: "local/tracker:1", grafana: "local/grafana:1" });
    expect(said).toContain("stand-ins");
    expect(built.asked).toEqual([["tracker", "grafana"]]);
  });

  test("are all built when asked for, and never when published ones are", async () => {
    built.asked.length = 0;
    await choose(engine(["p:1", "t:1", "g:1"], () => null).docker, "local");
    expect(built.asked).toEqual([["pingoo", "tracker", "grafana"]]);
    await expect(choose(engine([], offline).docker, "published")).rejects.toThrow(
      /No registry answers.*--images auto/s,
    );
  });

  test("that a registry does not have are an error that names them", async () => {
    const { docker } = engine([], (reference) =>
      reference === "t:1" ? new Error("manifest unknown") : null,
    );
    await expect(choose(docker, "auto")).rejects.toThrow(/t:1 cannot be pulled: manifest unknown/);
  });

  test.each([
    ["dial tcp: lookup registry-1.docker.io: no such host", true],
    ["net/http: TLS handshake timeout", true],
    ["dial tcp 1.2.3.4:443: i/o timeout", true],
    ["proxyconnect tcp: dial tcp: connection refused", true],
    ["Client.Timeout exceeded while awaiting headers", true],
    ["manifest for x:1 not found: manifest unknown", false],
    ["pull access denied for x, repository does not exist or may require 'docker login'", false],
    ["toomanyrequests: You have reached your pull rate limit", false],
    ["no space left on device", false],
  ])("%j: no registry answers: %s", (message, unreachable) =>
    expect(isUnreachable(message)).toBe(unreachable),
  );
});

describe("the command", () => {
  const quietly = async (...args: string[]) => {
    let stdout = "";
    let stderr = "";
    vi.spyOn(process.stdout, "write").mockImplementation((text) => Boolean((stdout += String(text))));
    vi.spyOn(process.stderr, "write").mockImplementation((text) => Boolean((stderr += String(text))));
    return { code: await main(args), stdout, stderr };
  };

  test("shows its help", async () => {
    expect(await quietly("--help")).toMatchObject({ code: 0, stdout: expect.stringContaining("--down") });
  });

  test.each([
    [["--engine", "kvm"], "Write one of: auto, pulumi, in-process."],
    [["--images", "none"], "Write one of: auto, published, local."],
    [["--donw"], "Did you mean --down?"],
  ])("refuses %j", async (args, message) => {
    await expect(quietly(...args)).rejects.toThrow(message);
    await expect(quietly(...args)).rejects.toMatchObject({ exitCode: 2 });
  });

  test("touches nothing when the configuration has problems", async () => {
    const path = join(folder, "Pulumi.bad.yaml");
    writeFileSync(path, "config:\n  httpsPort: many\n");
    const { code, stderr } = await quietly("--config", path);
    expect(code).toBe(1);
    expect(stderr).toMatch(/httpsPort.*no whole number/);
    expect(stderr).toContain("apiDomain");
  });

  test("leaves a stack of another host to the CLI", async () => {
    const file = join(projectDir, "examples/Pulumi.own-server.yaml");
    expect(await quietly("--config", file)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("Use npm run up -- --stack own-server"),
    });
  });

  test("finds nothing to remove of a stack that was never there", async () => {
    const stack = `none-${randomBytes(4).toString("hex")}`;
    expect(await quietly("--down", "--stack", stack)).toMatchObject({
      code: 0,
      stdout: `There is nothing of stack "${stack}" to remove.\n`,
    });
  });
});
