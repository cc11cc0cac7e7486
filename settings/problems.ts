import * as pulumi from "@pulumi/pulumi";

/** One thing that is wrong with the configuration. */
export interface Problem {
  /** Where: a key of the stack's configuration, e.g. `httpTrackers[0].domain`. */
  readonly path: string;
  /** What is wrong, the rule, and what to write instead. Never holds a secret's value. */
  readonly message: string;
}

/** Everything that is wrong with the configuration, thrown before any resource is registered. */
export class SettingsError extends pulumi.RunError {
  constructor(
    stack: string,
    readonly problems: readonly Problem[],
  ) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    const lines = problems.map(({ path, message }) => `  - ${path}: ${message}`);
    super(`The configuration of stack "${stack}" has ${count}:\n${lines.join("\n")}`);
  }
}
