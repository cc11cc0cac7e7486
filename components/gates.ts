import * as pulumi from "@pulumi/pulumi";

import type { DnsGateInputs } from "../gates/dns";
import type { EngineGateInputs } from "../gates/engine";

/** Where the code of a gate is: the module below `gates/` and its function. */
interface Gatekeeper {
  readonly module: string;
  readonly wait: string;
}

/**
 * A resource that counts as created once something has come to pass, and again after each change of its inputs. What it
 * guards depends on it; a deployment that fails here goes on here the next time.
 *
 * Pulumi runs its code in a process of its own, which does not know TypeScript: that is why it loads the module itself.
 */
function gateProvider({ module, wait }: Gatekeeper): pulumi.dynamic.ResourceProvider {
  const pass = async (inputs: { id: string }): Promise<void> => {
    /* eslint-disable @typescript-eslint/no-require-imports */
    require("tsx/cjs");
    const gate = require(`${process.cwd()}/gates/${module}`) as Record<
      string,
      (inputs: unknown, say: (line: string) => void) => Promise<void>
    >;
    /* eslint-enable @typescript-eslint/no-require-imports */
    await gate[wait]!(inputs, (line) => console.error(line));
  };
  return {
    async diff(_id, before, after) {
      return { changes: JSON.stringify(before) !== JSON.stringify(after) };
    },
    async create(inputs) {
      await pass(inputs);
      return { id: inputs.name, outs: inputs };
    },
    async update(_id, _before, inputs) {
      await pass(inputs);
      return { outs: inputs };
    },
  };
}

type Wrapped<T> = { readonly [Key in keyof T]: pulumi.Input<T[Key]> };

/** Waits until the Docker engine of a host answers over SSH. */
export class EngineGate extends pulumi.dynamic.Resource {
  /** @param args `occasions`: what calls for another look when it changes */
  constructor(
    name: string,
    args: Wrapped<EngineGateInputs> & { readonly occasions?: pulumi.Input<pulumi.Input<string>[]> },
    opts?: pulumi.CustomResourceOptions,
  ) {
    super(
      gateProvider({ module: "engine", wait: "waitForEngine" }),
      name,
      { ...args, name },
      opts,
      "torrust",
      "EngineGate",
    );
  }
}

/** Waits until the stack's names lead to its host. */
export class DnsGate extends pulumi.dynamic.Resource {
  constructor(name: string, args: Wrapped<DnsGateInputs>, opts?: pulumi.CustomResourceOptions) {
    super(
      gateProvider({ module: "dns", wait: "waitForNames" }),
      name,
      { ...args, name },
      opts,
      "torrust",
      "DnsGate",
    );
  }
}
