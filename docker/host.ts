import Docker from "dockerode";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

import { forwardBySsh, type Forwarded } from "./ssh";

/** A Docker engine that answered. */
export interface DockerHost {
  readonly docker: Docker;
  /** Its address as `DOCKER_HOST` would name it, e.g. `unix:///var/run/docker.sock`. */
  readonly address: string;
  /** What chose it, for people: `DOCKER_HOST`, `docker context "x"` or `the default socket`. */
  readonly chosenBy: string;
  /** Version of the engine, e.g. `28.0.1`. */
  readonly version: string;
}

/** An address to try, and what chose it. */
export interface Candidate {
  readonly address: string;
  readonly chosenBy: string;
}

/**
 * The addresses to try for an engine. `DOCKER_HOST` and a chosen context are final, as for the docker command;
 * otherwise the usual sockets of system-wide, rootless and desktop engines are tried in turn.
 */
export function dockerCandidates(
  environment: NodeJS.ProcessEnv = process.env,
  home: string = homedir(),
): readonly Candidate[] {
  if (environment.DOCKER_HOST) return [{ address: environment.DOCKER_HOST, chosenBy: "DOCKER_HOST" }];
  const configDir = environment.DOCKER_CONFIG ?? join(home, ".docker");
  const context = environment.DOCKER_CONTEXT ?? readJson(join(configDir, "config.json"))?.currentContext;
  if (typeof context === "string" && context !== "" && context !== "default") {
    const folder = createHash("sha256").update(context).digest("hex");
    const meta = readJson(join(configDir, "contexts", "meta", folder, "meta.json")) as
      { Endpoints?: { docker?: { Host?: string } } } | undefined;
    const address = meta?.Endpoints?.docker?.Host;
    return address ? [{ address, chosenBy: `docker context "${context}"` }] : [];
  }
  const sockets = [
    "/var/run/docker.sock",
    environment.XDG_RUNTIME_DIR ? join(environment.XDG_RUNTIME_DIR, "docker.sock") : "",
    join(home, ".docker", "run", "docker.sock"),
    join(home, ".colima", "default", "docker.sock"),
    join(home, ".rd", "docker.sock"),
  ];
  return sockets
    .filter((path) => path !== "" && existsSync(path))
    .map((path) => ({ address: `unix://${path}`, chosenBy: "the default socket" }));
}

/** Why no engine can be used: a sentence for each address that was tried, empty when there was none to try. */
export interface NoEngine {
  readonly tried: readonly string[];
}

/**
 * The first engine that answers.
 *
 * @param timeout milliseconds for each address; by SSH, which has to log in first, four times that
 */
export async function findDocker(
  environment: NodeJS.ProcessEnv = process.env,
  timeout = 5000,
): Promise<DockerHost | NoEngine> {
  const tried: string[] = [];
  for (const { address, chosenBy } of dockerCandidates(environment)) {
    let forwarded: Forwarded | undefined;
    try {
      const url = address.startsWith("ssh://") ? new URL(address) : undefined;
      forwarded = url && (await forwardBySsh(url, environment));
      const [near, patience] = forwarded
        ? [`unix://${forwarded.socketPath}`, 4 * timeout]
        : [address, timeout];
      const { Version } = await connect(near, environment, patience).version();
      return { docker: connect(near, environment), address, chosenBy, version: Version };
    } catch (error) {
      tried.push(`${address} (${chosenBy}): ${forwarded?.said() ?? reason(error)}`);
      forwarded?.close();
    }
  }
  return { tried };
}

/**
 * @param timeout milliseconds for each request; none by default, for pulls and waits take long
 * @throws {Error} for an address that is none
 */
function connect(address: string, environment: NodeJS.ProcessEnv, timeout?: number): Docker {
  if (address.startsWith("unix://"))
    // What DOCKER_HOST names counts for more than the path, unless it is taken out.
    return new Docker({
      socketPath: address.slice("unix://".length),
      host: undefined,
      port: undefined,
      protocol: "http",
      timeout,
    });
  const url = new URL(address);
  const port = url.port || (environment.DOCKER_TLS_VERIFY ? "2376" : "2375");
  const certificates = environment.DOCKER_CERT_PATH;
  if (environment.DOCKER_TLS_VERIFY && certificates) {
    const read = (name: string) => readFileSync(join(certificates, name), "utf8");
    const tls = { ca: read("ca.pem"), cert: read("cert.pem"), key: read("key.pem") };
    return new Docker({ protocol: "https", host: url.hostname, port, timeout, ...tls });
  }
  return new Docker({ protocol: "http", host: url.hostname, port, timeout });
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case "ENOENT":
      return "there is no such socket";
    case "ECONNREFUSED":
      return "nothing listens there";
    case "EACCES":
      return "permission denied; join the group docker (sudo usermod -aG docker $USER) and log in again, or run as root";
    default:
      return message;
  }
}

function readJson(path: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
