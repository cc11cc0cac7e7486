/**
 * Reads single fields of a resource's inputs, each with its path for the error. Inputs come in plain, with their secrets
 * laid open.
 */

export type Fields = Readonly<Record<string, unknown>>;

/** A field that cannot be translated. */
export class SpecError extends Error {
  constructor(
    readonly path: string,
    problem: string,
  ) {
    super(`${path} ${problem}`);
    this.name = "SpecError";
  }
}

export const unsupported =
  "is not supported by the in-process engine. Use the Pulumi CLI for this stack (npm run up)";

/** The inputs that were given, in an order that does not depend on the program's. */
export function given(inputs: Fields): [string, unknown][] {
  return Object.entries(inputs)
    .filter(([key, value]) => value !== undefined && value !== null && !key.startsWith("__"))
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

export function fields<const K extends string>(
  value: unknown,
  path: string,
  known: readonly K[],
): { readonly [P in K]?: unknown } {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new SpecError(path, "is no object");
  for (const [field] of given(value as Fields))
    if (!(known as readonly string[]).includes(field)) throw new SpecError(`${path}.${field}`, unsupported);
  return value as { readonly [P in K]?: unknown };
}

export function optionalFields<const K extends string>(
  value: unknown,
  path: string,
  known: readonly K[],
): { readonly [P in K]?: unknown } | undefined {
  return value === undefined || value === null ? undefined : fields(value, path, known);
}

export interface List {
  map<T>(change: (item: unknown, path: string) => T): T[];
  forEach(act: (item: unknown, path: string) => void): void;
}

/** A list whose elements know their own path. */
export function list(value: unknown, path: string): List {
  if (!Array.isArray(value)) throw new SpecError(path, "is no list");
  return {
    map: (change) => value.map((item, index) => change(item, `${path}[${index}]`)),
    forEach: (act) => value.forEach((item, index) => act(item, `${path}[${index}]`)),
  };
}

export function text(value: unknown, path: string): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw new SpecError(path, value === undefined || value === null ? "is missing" : "is no text");
}

export function optionalText(value: unknown, path: string): string | undefined {
  return value === undefined || value === null || value === "" ? undefined : text(value, path);
}

export function texts(value: unknown, path: string): string[] {
  return list(value, path).map(text);
}

export function textMap(value: unknown, path: string): Record<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new SpecError(path, "is no object");
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, text(item, `${path}.${key}`)]));
}

export function labelMap(value: unknown, path: string): Record<string, string> {
  return Object.fromEntries(
    list(value, path).map((item, at) => {
      const label = fields(item, at, ["label", "value"]);
      return [text(label.label, `${at}.label`), text(label.value, `${at}.value`)];
    }),
  );
}

export function integer(value: unknown, path: string): number {
  const number = typeof value === "string" && value !== "" ? Number(value) : value;
  if (typeof number !== "number" || !Number.isInteger(number))
    throw new SpecError(path, "is no whole number");
  return number;
}

export function boolean(value: unknown, path: string): boolean {
  if (typeof value !== "boolean") throw new SpecError(path, "is neither true nor false");
  return value;
}

export function duration(value: unknown, path: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  const nanoseconds = parseGoDuration(text(value, path));
  if (nanoseconds === undefined)
    throw new SpecError(path, `is "${text(value, path)}", not a duration such as 5s`);
  return nanoseconds;
}

export function splitOnce(value: string, separator: string): [string, string] {
  const at = value.indexOf(separator);
  return at < 0 ? [value, ""] : [value.slice(0, at), value.slice(at + 1)];
}

/** A duration as Go writes it, e.g. `1m30s` or `500ms`, in nanoseconds. Undefined when it is none. */
export function parseGoDuration(duration: string): number | undefined {
  if (/^[-+]?0$/.test(duration)) return 0;
  const units: Record<string, number> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };
  const parts = [...duration.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join("") !== duration) return undefined;
  return Math.round(
    parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (units[unit ?? ""] ?? NaN), 0),
  );
}

/** Without members that are undefined or an empty object. */
export function withoutEmpty<T extends Record<string, unknown>>(value: T): T {
  return Object.fromEntries(
    Object.entries(value).filter(
      ([, member]) =>
        member !== undefined &&
        !(
          typeof member === "object" &&
          member !== null &&
          !Array.isArray(member) &&
          Object.keys(member).length === 0
        ),
    ),
  ) as T;
}
