import { stringify } from "yaml";

const header = "# Written by Pulumi. Change the stack's configuration instead: edits here are lost.\n";

/** A YAML 1.2 document with a header that says where it comes from; ends in a newline. */
export function renderYaml(value: unknown): string {
  return header + stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}
