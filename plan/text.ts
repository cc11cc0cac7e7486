import type { ProgramResult, RegisteredResource } from "../program/monitor";
import type { Style } from "../terminal/terminal";
import type { RenderedFile } from "./files";
import { listOf, type Fields } from "./inputs";

/** The plan for people: the tree of resources, the files, the outputs. */
export function toText(
  { resources, outputs, masker }: ProgramResult,
  files: readonly RenderedFile[],
  style: Style,
): string {
  const lines: string[] = [];
  const children = (urn: string | undefined) => resources.filter(({ parent }) => parent === urn);
  const draw = (resource: RegisteredResource, indent: string, branch: string, stem: string) => {
    lines.push(
      `${indent}${branch}${style.bold(resource.name)} ${style.dim(resource.type)}${options(resource)}`,
    );
    const below = children(resource.urn);
    const detailStem = `${indent}${stem}${below.length > 0 ? "│  " : "   "}`;
    for (const detail of details(masker.value(resource.inputs)))
      lines.push(`${detailStem}${style.dim(detail)}`);
    below.forEach((child, index) => {
      const last = index === below.length - 1;
      draw(child, `${indent}${stem}`, last ? "└─ " : "├─ ", last ? "   " : "│  ");
    });
  };
  for (const root of children(undefined)) draw(root, "", "", "");

  for (const { service, path, text } of files) {
    lines.push(
      "",
      style.cyan(`── ${service}:${path}`),
      ...text
        .trimEnd()
        .split("\n")
        .map((line) => `  ${line}`),
    );
  }
  lines.push("", style.cyan("── outputs"));
  for (const [key, value] of Object.entries(masker.value(outputs) as object))
    lines.push(`  ${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`);

  const made = resources.filter(({ custom }) => custom).length;
  const count = `${made} resources, ${files.length} files. Nothing was created.`;
  return `${lines.join("\n")}\n\n${count}\n`;
}

function options({ protect, retainOnDelete }: RegisteredResource): string {
  const said = [protect ? "protected" : "", retainOnDelete ? "kept when it leaves the stack" : ""].filter(
    Boolean,
  );
  return said.length > 0 ? ` (${said.join(", ")})` : "";
}

/** The inputs that tell a reader most, one line each. */
function details(masked: unknown): string[] {
  const inputs = masked as Fields;
  const lines: string[] = [];
  const add = (name: string, value: unknown) => {
    if (
      value === undefined ||
      value === "" ||
      value === false ||
      (Array.isArray(value) && value.length === 0)
    )
      return;
    lines.push(`${name}: ${Array.isArray(value) ? value.join(", ") : String(value)}`);
  };
  const each = (key: string, line: (item: Fields) => string) => listOf(inputs[key]).map(line);
  add("name", inputs.name);
  add("image", inputs.image);
  add("command", Array.isArray(inputs.command) ? inputs.command.join(" ") : undefined);
  add("user", inputs.user);
  add("environment", inputs.envs);
  add(
    "subnet",
    each("ipamConfigs", ({ subnet }) => String(subnet)),
  );
  add("internal", inputs.internal === true ? "no way out" : undefined);
  add(
    "publishes",
    each("ports", ({ ip, external, internal, protocol }) => {
      const address = ip === undefined ? "0.0.0.0" : String(ip);
      const host = address.includes(":") ? `[${address}]` : address;
      return `${host}:${String(external ?? "any")} -> ${String(internal)}/${String(protocol ?? "tcp")}`;
    }),
  );
  add(
    "networks",
    each("networksAdvanced", ({ name, ipv4Address, ipv6Address }) =>
      [name, ipv4Address, ipv6Address].filter(Boolean).join(" "),
    ),
  );
  add(
    "mounts",
    each("volumes", ({ volumeName, hostPath, containerPath, readOnly }) => {
      const source = volumeName ?? hostPath;
      return `${source === undefined ? "" : `${String(source)} -> `}${String(containerPath)}${readOnly ? " (read-only)" : ""}`;
    }),
  );
  add(
    "files",
    each("uploads", ({ file }) => String(file)),
  );
  add("memory", typeof inputs.memory === "number" ? `${inputs.memory} MB` : undefined);
  return lines;
}
