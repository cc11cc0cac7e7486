import type * as docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";

/** Where the stack's containers run. */
export interface Host {
  /** The engine that runs them. */
  readonly engine: docker.Provider;
  /** Addresses under which the published ports are reached. */
  readonly addresses: { readonly ipv4?: pulumi.Input<string>; readonly ipv6?: pulumi.Input<string> };
  /** Command line that logs in, where one has to. */
  readonly ssh?: pulumi.Output<string>;
  /** Ties what is made on the engine to the machine that it is on. */
  readonly tie?: pulumi.ResourceTransformation;
}
