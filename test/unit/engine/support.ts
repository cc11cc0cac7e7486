import type { ResourceRequest } from "../../../program/monitor";

/** A resource as the program declares it. */
export function request(type: string, name: string, inputs: object): ResourceRequest {
  return {
    urn: `urn:pulumi:s::p::${type}::${name}`,
    type,
    name,
    custom: true,
    inputs: inputs as Record<string, unknown>,
    dependsOn: [],
    protect: false,
    retainOnDelete: false,
    deleteBeforeReplace: false,
  };
}
