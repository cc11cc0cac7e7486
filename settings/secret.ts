import type * as pulumi from "@pulumi/pulumi";

/** A value that Pulumi keeps encrypted in the state and masks in its output. */
export type Secret = pulumi.Output<string>;
