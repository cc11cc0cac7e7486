import type Docker from "dockerode";

import { ownerLabel } from "../docker/calls";
import { createMasker } from "../program/secrets";
import { CommandError, type Progress, type Step } from "../terminal/terminal";
import type { EngineState } from "./state";

/** Label that tells from which inputs a thing was made. */
export const inputsLabel = "torrust-pingoo.inputs";

/** What a deployment did, in numbers. */
export interface EngineSummary {
  readonly created: number;
  readonly replaced: number;
  readonly kept: number;
  readonly removed: number;
}

/** One deployment under way: what all that makes things for it share, and the count of what was done. */
export class EngineRun {
  readonly counts = { created: 0, replaced: 0, kept: 0, removed: 0 };

  constructor(
    readonly docker: Docker,
    readonly stack: string,
    readonly state: EngineState,
    readonly progress: Progress,
    /** What must not be shown; grows as secrets are generated. */
    readonly secrets: string[],
  ) {}

  /** A text with every secret known so far masked. */
  masked(text: string): string {
    return createMasker(this.secrets).text(text);
  }

  /** A thing's labels, with those by which it is known again. */
  labels(labels: Record<string, string> | undefined, hash: string): Record<string, string> {
    return { ...labels, [ownerLabel]: this.stack, [inputsLabel]: hash };
  }

  /**
   * Whether an existing thing is the stack's own and was made from the same inputs.
   *
   * @throws {CommandError} when it belongs to something else
   */
  isUnchanged(
    labels: Record<string, string> | undefined,
    kind: "container" | "network",
    name: string,
    hash: string,
  ): boolean {
    if (labels?.[ownerLabel] !== this.stack)
      throw new CommandError(
        labels?.["torrust-pingoo.stack"]
          ? `The ${kind} ${name} exists already: the Pulumi CLI made it. Run npm run destroy first, or go on with npm run up.`
          : `A ${kind} called ${name} exists already and does not belong to stack "${this.stack}". Remove it (docker ${kind} rm ${name}), or choose another --stack.`,
      );
    return labels[inputsLabel] === hash;
  }

  /** Does a piece of work under a step's name; the step fails with it. */
  async step<T>(name: string, work: (step: Step) => Promise<T>): Promise<T> {
    const step = this.progress.step(name);
    try {
      return await work(step);
    } catch (error) {
      step.fail();
      throw error;
    }
  }

  /** Ends the step of a thing that was made. */
  done(step: Step, replaced: boolean): void {
    step.succeed(replaced ? "replaced" : "created");
    this.counts[replaced ? "replaced" : "created"]++;
  }
}
