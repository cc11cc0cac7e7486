import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { parse } from "yaml";

import { main } from "../../../commands/pulumi";
import { projectDir, projectName } from "../../../program/project";
import * as cli from "../../../pulumi/cli";
import { cliArguments, readInvocation } from "../../../pulumi/invocation";
import { runCli, stackOutputs, type CliRun } from "../../../pulumi/run";
import { openSession, stackFile } from "../../../pulumi/session";
import { CommandError } from "../../../terminal/terminal";

const folder = mkdtempSync(join(tmpdir(), "pulumi-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

describe("command lines", () => {
  test.each([
    [["up"], { args: ["up"] }],
    [["up", "--stack", "a", "--diff"], { args: ["up", "--diff"], stack: "a" }],
    [["up", "--stack=a", "-s", "b"], { args: ["up"], stack: "b" }],
    [["up", "--config-file", "f.yaml"], { args: ["up"], configFile: "f.yaml" }],
    [
      ["config", "set", "key", "--", "--stack", "x"],
      { args: ["config", "set", "key", "--", "--stack", "x"] },
    ],
  ])("%j are taken apart", (args, expected) => expect(readInvocation(args)).toEqual(expected));

  test.each([[["up", "--stack"]], [["up", "--stack", "--diff"]], [["up", "--config-file="]]])(
    "%j lack a value",
    (args) => {
      expect(() => readInvocation(args)).toThrow(/needs a value/);
    },
  );

  test.each([
    [["up"], ["up", "--stack", "s", "--config-file", "c", "--yes"]],
    [
      ["up", "--diff"],
      ["up", "--diff", "--stack", "s", "--config-file", "c", "--yes"],
    ],
    [
      ["up", "-y"],
      ["up", "-y", "--stack", "s", "--config-file", "c"],
    ],
    [
      ["up", "--yes=false"],
      ["up", "--yes=false", "--stack", "s", "--config-file", "c"],
    ],
    [
      ["up", "--skip-preview"],
      ["up", "--skip-preview", "--stack", "s", "--config-file", "c"],
    ],
    [
      ["destroy", "--preview-only"],
      ["destroy", "--preview-only", "--stack", "s", "--config-file", "c"],
    ],
    [
      ["preview", "--json"],
      ["preview", "--json", "--stack", "s", "--config-file", "c"],
    ],
    [["refresh"], ["refresh", "--stack", "s", "--config-file", "c", "--yes"]],
    [
      ["stack", "output"],
      ["stack", "output", "--stack", "s"],
    ],
    [
      ["config", "set", "k", "--", "-v"],
      ["config", "set", "k", "--stack", "s", "--config-file", "c", "--", "-v"],
    ],
    [["version"], ["version"]],
    [
      ["plugin", "ls"],
      ["plugin", "ls"],
    ],
  ])("%j are completed", (args, expected) => expect(cliArguments(args, "s", "c")).toEqual(expected));

  test("nothing is added for a file that the CLI finds by itself", () => {
    expect(cliArguments(["up"], "s", undefined)).toEqual(["up", "--stack", "s", "--yes"]);
  });
});

describe("finding the CLI", () => {
  const home = join(folder, "home");
  const program = (path: string, mode = 0o755) => {
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, "#!/bin/sh\n");
    chmodSync(path, mode);
    return path;
  };
  test("PATH first, but not npm's folder of wrappers; then the places of its installers, the newest version first", () => {
    const wrapper = program(join(folder, "x/node_modules/.bin/pulumi"));
    const unusable = program(join(folder, "y/pulumi"), 0o644);
    const environment = { PATH: `${join(wrapper, "..")}:${join(unusable, "..")}::/nonexistent` };
    expect(cli.findInstalledCli(environment, home)).toBeUndefined();
    const old = program(join(home, ".pulumi/versions/3.9.0/bin/pulumi"));
    expect(cli.findInstalledCli(environment, home)?.path).toBe(old);
    const newer = program(join(home, ".pulumi/versions/3.260.0/bin/pulumi"));
    expect(cli.findInstalledCli(environment, home)?.path).toBe(newer);
    const installed = program(join(home, ".pulumi/bin/pulumi"));
    expect(cli.findInstalledCli(environment, home)?.path).toBe(installed);
    const first = program(join(folder, "z/pulumi"));
    expect(cli.findInstalledCli({ PATH: join(folder, "z") }, home)).toEqual({ path: first, source: "PATH" });
    expect(cli.findInstalledCli({ PATH: "", PULUMI_HOME: join(folder, "none") }, home)).toBeUndefined();
  });

  describe("of a version", () => {
    const versions = (version: string) => {
      const path = join(folder, "versions", version, "pulumi");
      mkdirSync(join(path, ".."), { recursive: true });
      writeFileSync(path, `#!/bin/sh\n[ "$*" = version ] || exit 9\necho ${version}\n`, { mode: 0o755 });
      return path;
    };

    test.each(["v3.225.1", "v3.226.0-alpha.1", "3.99.0", "v2.260.0"])(
      "%s is too old to start: it would leave a rebuilt machine empty",
      async (version) => {
        const path = versions(version);
        vi.stubEnv("PATH", `${join(path, "..")}:${process.env.PATH}`);
        let said = "";
        vi.spyOn(process.stderr, "write").mockImplementation((text) => Boolean((said += String(text))));
        expect(await main(["up"])).toBe(2);
        expect(said).toContain(
          `${path} is version ${version.replace("v", "")}, and Pulumi.yaml requires >=3.226.0.\nInstall it`,
        );
      },
    );

    test.each(["v3.226.0", "v3.260.0", "v3.261.0-dev.1", "unreleased"])("%s is taken", async (version) => {
      const path = versions(version);
      const environment = { PATH: `${join(path, "..")}:${process.env.PATH}` };
      expect(await cli.findCli(projectDir, () => {}, environment)).toEqual({ path, source: "PATH" });
    });
  });

  test("without one, up ends with 2 and names what works without", async () => {
    vi.spyOn(cli, "findCli").mockResolvedValue({ reason: "there is no Pulumi CLI on PATH" });
    let said = "";
    vi.spyOn(process.stderr, "write").mockImplementation((text) => Boolean((said += String(text))));
    expect(await main(["up"])).toBe(2);
    expect(said).toMatch(/no Pulumi CLI on PATH[^]*npm run plan[^]*npm start/);
  });
});

describe("a session", () => {
  const open = (environment: NodeJS.ProcessEnv, stateDir = join(folder, "session")) =>
    openSession({ project: "p", stack: "s", stateDir, environment });
  const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

  test("keeps state and passphrase in private folders", () => {
    const { environment, folders } = open({ PATH: "/bin" });
    expect(environment).toMatchObject({ PATH: "/bin", PULUMI_SKIP_UPDATE_CHECK: "true" });
    expect(fileURLToPath(environment.PULUMI_BACKEND_URL ?? "")).toBe(folders?.backend);
    const passphrase = environment.PULUMI_CONFIG_PASSPHRASE_FILE ?? "";
    expect([mode(passphrase), mode(folders?.root ?? ""), mode(folders?.backend ?? "")]).toEqual([
      "600",
      "700",
      "700",
    ]);
    const text = readFileSync(passphrase, "utf8");
    expect(text).toMatch(/^[\w-]{43}$/);
    expect(readFileSync(open({}).environment.PULUMI_CONFIG_PASSPHRASE_FILE ?? "", "utf8")).toBe(text);
  });

  test("respects a passphrase and a backend of the person's own", () => {
    const own = join(folder, "own");
    expect(
      open({ PULUMI_CONFIG_PASSPHRASE: "" }, own).environment.PULUMI_CONFIG_PASSPHRASE_FILE,
    ).toBeUndefined();
    expect(open({ PULUMI_CONFIG_PASSPHRASE_FILE: "/f" }, own).environment.PULUMI_CONFIG_PASSPHRASE_FILE).toBe(
      "/f",
    );
    expect(existsSync(join(own, "pulumi/passphrase"))).toBe(false);
    const remote = open({ PULUMI_BACKEND_URL: "s3://b" }, join(folder, "untouched"));
    expect(remote.folders).toBeUndefined();
    expect(remote.environment.PULUMI_BACKEND_URL).toBe("s3://b");
    expect(existsSync(join(folder, "untouched"))).toBe(false);
  });

  test("hands on an engine that is not at the usual place", () => {
    expect(open({ DOCKER_HOST: "tcp://h:1" }).environment.DOCKER_HOST).toBe("tcp://h:1");
  });
});

/** Does of the CLI's work what matters here, and writes down how it was called. */
const fake = `#!/bin/sh
echo "$@" >> "$FAKE_LOG"
backend=\${PULUMI_BACKEND_URL#file://}
project=${projectName()}
stacks="$backend/.pulumi/stacks/$project"
state() { mkdir -p "$stacks"; echo "{\\"checkpoint\\":{\\"latest\\":{\\"resources\\":[$2]}}}" > "$stacks/$1.json"; }
config=""; stack=""
i=0; for a in "$@"; do
  [ "$previous" = --config-file ] && config="$a"
  [ "$previous" = --stack ] && stack="$a"
  previous="$a"
done
case "$1 $2" in
  "stack init") state "$3" ""
    grep -qs encryptionsalt "Pulumi.$3.yaml" || echo "encryptionsalt: salt-of-$3" > "Pulumi.$3.yaml" ;;
  "stack rm") [ "$FAKE_FAIL" = rm ] && { echo "cannot" >&2; exit 1; }; rm "$stacks/$3.json" ;;
  "stack output") echo '{"adminToken":"t"}' ;;
  "config set") sed -i 's/: 8443$/: "8443"/' "$config"; printf '  %s: {secure: "v1:x"}\\n' "$3" > "$config.new"
    sed "/^config:/r $config.new" "$config" > "$config.2"; mv "$config.2" "$config"; rm "$config.new" ;;
  "up "*) state "$stack" '{"urn":"u"}' ;;
  "destroy "*) [ "$3" = partly ] || [ "$2" = --target ] || state "$stack" "" ;;
esac
[ "$FAKE_FAIL" = "$1" ] && exit 5
exit 0
`;

describe("with a CLI", () => {
  let stateDir: string;
  let log: string;
  let options: CliRun;
  const source = join(folder, "Pulumi.s.yaml");
  const committed = "# Committed.\nconfig:\n  httpsPort: 8443\n";
  const project = projectName();

  beforeEach(() => {
    stateDir = mkdtempSync(join(folder, "state-"));
    log = join(stateDir, "..", `${Math.random()}.log`);
    const path = join(folder, "fake-pulumi");
    writeFileSync(path, fake, { mode: 0o755 });
    writeFileSync(source, committed);
    const environment = { PATH: process.env.PATH, FAKE_LOG: log };
    const session = openSession({ project, stack: "s", stateDir, environment });
    options = { cli: { path, source: "PATH" }, session, project, sourceFile: source, output: "stderr" };
    vi.spyOn(process.stderr, "write").mockReturnValue(true);
  });
  const calls = () => readFileSync(log, "utf8").trim().split("\n");
  const copy = () =>
    parse(readFileSync(options.session.folders?.configFile ?? "", "utf8")) as Record<string, unknown>;

  test("the first up makes the stack aside and hands over a private copy; the committed file stays as it was", async () => {
    expect(await runCli(["up"], { ...options, overrides: { images: { tracker: "t:1" } } })).toBe(0);
    const { configFile } = options.session.folders ?? {};
    expect(calls()).toEqual([
      "stack init s --no-select --non-interactive",
      `up --stack s --config-file ${configFile} --yes`,
    ]);
    expect(copy()).toEqual({
      config: { httpsPort: 8443, [`${project}:images`]: { tracker: "t:1" } },
      encryptionsalt: "salt-of-s",
    });
    expect(statSync(configFile ?? "").mode & 0o777).toBe(0o600);
    expect(readFileSync(source, "utf8")).toBe(committed);

    // The second time there is nothing to make, and what was for one run only is gone.
    expect(await runCli(["up", "--diff"], options)).toBe(0);
    expect(calls().slice(2)).toEqual([`up --diff --stack s --config-file ${configFile} --yes`]);
    expect(copy()).toEqual({ config: { httpsPort: 8443 }, encryptionsalt: "salt-of-s" });
  });

  test("values that are set stay private and are merged into every later copy", async () => {
    await runCli(["config", "set", "adminToken"], options);
    expect(readFileSync(source, "utf8")).toBe(committed);
    writeFileSync(source, "config:\n  httpsPort: 9443\n  grafana: true\n");
    await runCli(["preview"], options);
    // httpsPort follows the committed file: that the CLI wrote 8443 back as text was no change.
    expect(copy()).toEqual({
      config: { httpsPort: 9443, grafana: true, [`${project}:adminToken`]: { secure: "v1:x" } },
      encryptionsalt: "salt-of-s",
    });
  });

  test("a salt that is committed is used", async () => {
    writeFileSync(source, `${committed}encryptionsalt: mine\n`);
    await runCli(["up"], options);
    expect(copy().encryptionsalt).toBe("mine");
  });

  test("destroy removes the empty stack and everything of the session", async () => {
    await runCli(["up"], options);
    expect(await runCli(["destroy"], options)).toBe(0);
    expect(calls().at(-1)).toBe("stack rm s --yes --preserve-config --non-interactive");
    expect(existsSync(stateDir)).toBe(false);
  });

  test("destroy keeps values that were set, and a stack that still holds something", async () => {
    await runCli(["config", "set", "adminToken"], options);
    await runCli(["up"], options);
    expect(await runCli(["destroy", "--target", "u"], options)).toBe(0);
    expect(stackFile(options.session, project)).toBeDefined();
    expect(await runCli(["destroy"], options)).toBe(0);
    expect(readdirSync(join(stateDir, "pulumi")).sort()).toEqual([
      "Pulumi.s.private.yaml",
      "backend",
      "passphrase",
      "project",
    ]);
  });

  test("destroy of what was never deployed is no failure", async () => {
    expect(await runCli(["destroy"], options)).toBe(0);
    expect(existsSync(log)).toBe(false);
    expect(existsSync(stateDir)).toBe(false);
  });

  test("the CLI's failure is the command's", async () => {
    options.session.environment.FAKE_FAIL = "up";
    expect(await runCli(["up"], options)).toBe(5);
    options.session.environment.FAKE_FAIL = "rm";
    await expect(runCli(["destroy"], options)).rejects.toThrow("cannot");
  });

  test("a missing stack file is said to be missing, but does not stop a destroy", async () => {
    await runCli(["up"], options);
    rmSync(source);
    await expect(runCli(["up"], options)).rejects.toThrow(CommandError);
    await expect(runCli(["up"], options)).rejects.toThrow("does not exist");
    expect(await runCli(["destroy"], options)).toBe(0);
  });

  test("with a backend of the person's own nothing is kept here", async () => {
    const environment = {
      PATH: process.env.PATH,
      FAKE_LOG: log,
      PULUMI_BACKEND_URL: `file://${stateDir}/theirs`,
    };
    const session = openSession({ project, stack: "s", stateDir, environment });
    expect(await runCli(["up"], { ...options, session })).toBe(0);
    expect(calls()).toEqual([`up --stack s --config-file ${source} --yes`]);
  });

  test("outputs are read with their secrets", async () => {
    await runCli(["up"], options);
    expect(await stackOutputs(options)).toEqual({ adminToken: "t" });
    expect(calls().at(-1)).toBe("stack output --json --show-secrets --stack s --non-interactive");
    options.session.environment.FAKE_FAIL = "stack";
    await expect(stackOutputs(options)).rejects.toThrow("cannot be read");
  });
});
