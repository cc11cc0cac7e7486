import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

/** A key of Pulumi.yaml's config schema. */
interface SchemaEntry {
  readonly type: string;
  readonly description: string;
  readonly default?: unknown;
}

const begin = "<!-- config: npm run docs -->";
const end = "<!-- /config -->";

/** The schema of Pulumi.yaml as a Markdown table, in its own order. */
export function configTable(pulumiYaml: string): string {
  const schema = (parse(pulumiYaml) as { config: Record<string, SchemaEntry> }).config;
  const rows = Object.entries(schema).map(([key, entry]) => {
    const fallback = "default" in entry ? `\`${JSON.stringify(entry.default)}\`` : "required";
    return `| \`${key}\` | ${entry.type} | ${fallback} | ${cell(entry.description)} |`;
  });
  return ["| Key | Type | Default | |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

/** The page with the text between its two markers replaced by the table. */
export function withConfigTable(page: string, pulumiYaml: string): string {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the page has no ${begin} followed by ${end}`);
  return `${page.slice(0, from + begin.length)}\n\n${configTable(pulumiYaml)}\n\n${page.slice(to)}`;
}

function cell(text: string): string {
  return text.trim().replace(/\s+/g, " ").replaceAll("|", "\\|");
}

function main(): void {
  const root = join(__dirname, "..");
  const readme = join(root, "README.md");
  const pulumiYaml = readFileSync(join(root, "Pulumi.yaml"), "utf8");
  writeFileSync(readme, withConfigTable(readFileSync(readme, "utf8"), pulumiYaml));
}

if (require.main === module) main();
