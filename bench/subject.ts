import type Docker from "dockerode";

import { findDocker } from "../docker/host";
import { TestStack, type Outputs } from "../test/e2e/support/engine";
import { CliStack, hasPulumi } from "../test/engine/support/cli";
import { buildImages, deployedImages } from "../test/images/build";

/** A stack that can be deployed, changed and measured. */
export interface Subject {
  readonly docker: Docker;
  readonly name: string;
  /** Deploys, or changes what is deployed. */
  up(values: Record<string, unknown>): Promise<Outputs>;
  /** Asks what an `up` would change, which is nothing. */
  preview(): Promise<void>;
  down(): Promise<void>;
}

/** What is measured, for people. */
export const deployer = hasPulumi() ? "the Pulumi CLI" : "the in-process engine (no pulumi on PATH)";

/**
 * Values that every measured stack has.
 *
 * @param port of HTTPS on the host; the next ones are used as well
 */
export function benchValues(port: number) {
  return {
    apiDomain: "api.torrust.test",
    httpTrackers: [{ domain: "tracker.torrust.test" }],
    udpTrackers: [{ port }],
    acme: "none",
    httpsPort: port,
    grafana: true,
    grafanaDomain: "grafana.torrust.test",
    grafanaPort: port + 1,
    httpPort: port + 2,
    nginxRateLimit: 0,
    // A real Pingoo in the stand-in's place.
    images: { ...deployedImages(), ...(process.env.PINGOO_IMAGE && { pingoo: process.env.PINGOO_IMAGE }) },
  };
}

/** A stack of which nothing is there yet: by the Pulumi CLI where there is one, otherwise in process. */
export async function freshSubject(name: string): Promise<Subject> {
  await buildImages({ log: (line) => console.error(line) });
  const docker = await engine();
  if (!hasPulumi()) {
    const stack = await TestStack.fresh(name);
    let last = {};
    const up = async (values: Record<string, unknown>) => (await stack.up((last = values))).outputs;
    return { docker, name, up, preview: async () => void (await up(last)), down: () => stack.down() };
  }
  const stack = await CliStack.fresh(name);
  return {
    docker,
    name,
    up: async (values) => {
      stack.configure(values);
      await stack.up();
      return stack.outputs();
    },
    preview: async () => void (await stack.unchanged()),
    down: () => stack.down(),
  };
}

async function engine(): Promise<Docker> {
  const found = await findDocker();
  if (!("docker" in found)) throw new Error(`no Docker engine answers: ${found.tried.join("; ")}`);
  return found.docker;
}
