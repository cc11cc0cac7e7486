import type { TestProject } from "vitest/node";

import { findDocker } from "../docker/host";

declare module "vitest" {
  interface ProvidedContext {
    /** A Docker engine answers. */
    engine: boolean;
  }
}

/** Runs once before all tests: looks for an engine, and says so plainly when there is none. */
export default async function setup(project: TestProject): Promise<void> {
  const found = await findDocker();
  const engine = "docker" in found;
  project.provide("engine", engine);
  if (engine)
    console.log(
      `Docker engine ${found.version} at ${found.address}: the tests of the running stack are included.`,
    );
  else
    console.log(
      `SKIPPED: all tests of the running stack (test/e2e), because no Docker engine answers. ${found.tried.join(" ")}`,
    );
}
