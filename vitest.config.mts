import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/setup.ts",
    pool: "forks",
    // The commands load the program by require(), as the Pulumi CLI does, past vitest's own loader.
    poolOptions: { forks: { execArgv: ["--require", "tsx/cjs"], maxForks: 2 } },
    testTimeout: 20_000,
    hookTimeout: 600_000,
  },
});
