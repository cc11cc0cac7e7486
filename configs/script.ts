/** What is given for a script's names: text in the script's own language, or whether a part of it stays. */
export type ScriptValues = Readonly<Record<string, string | boolean>>;

/**
 * Renders a script of `scripts/`. The file itself runs, too, with an example's values. These lines of it are not rendered
 * as they are:
 *
 * - `name=value`, in Python `NAME = value`, at the start of a line gets the value that is given for the name;
 * - between `##inline` and `##end` are such lines, too, but the value stands wherever `$name`, `"$name"` or, in Python,
 *   `NAME` is used;
 * - what is between `##if name` or `##unless name` and `##end` stays or goes, as is given;
 * - other lines that begin with `##` are for who reads the source. They go, and so do shellcheck's directives.
 *
 * Whoever changes what is rendered replaces the containers of every stack that is deployed; notes cost nothing.
 *
 * @throws Error if the script has not all names that are given, or nothing is given for a part of it
 */
export function renderScript(source: string, values: ScriptValues = {}): string {
  const unknown = new Set(Object.keys(values));
  const inlined = new Map<string, string>();
  const blocks: ("inline" | "kept" | "gone")[] = [];
  const rendered = source.split("\n").flatMap((line) => {
    const [, directive, part = ""] = /^\s*##(inline|if|unless|end)\b ?(\w*)$/.exec(line) ?? [];
    const [, name = "", sign, example] = /^(\w+)( ?= ?)(.*)$/.exec(line) ?? [];
    unknown.delete(part || name);
    if (directive === "end") blocks.pop();
    else if (directive === "inline") blocks.push("inline");
    else if (directive) blocks.push(stays(part, values) === (directive === "if") ? "kept" : "gone");
    if (directive || blocks.includes("gone") || /^\s*(##|# shellcheck )/.test(line)) return [];
    const given = values[name];
    if (blocks.includes("inline")) {
      if (name) inlined.set(name, String(given ?? example));
      return [];
    }
    return typeof given === "string" ? `${name}${sign}${given}` : writtenOut(line, inlined);
  });
  if (unknown.size > 0) throw new Error(`The script has no ${[...unknown].join(", ")}.`);
  return rendered.join("\n");
}

function stays(part: string, values: ScriptValues): boolean {
  const given = values[part];
  if (typeof given !== "boolean") throw new Error(`Nothing says whether the script's part ${part} stays.`);
  return given;
}

function writtenOut(line: string, inlined: ReadonlyMap<string, string>): string {
  return line.replace(
    /"\$(\w+)"|\$(\w+)|\b([A-Z_]+)\b/g,
    (text, quoted?: string, bare?: string, python?: string) =>
      inlined.get((quoted ?? bare ?? python)!) ?? text,
  );
}
