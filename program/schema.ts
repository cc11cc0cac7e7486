import type { Problem } from "../settings";
import { mapping } from "./stack-file";
import { json, type Given } from "./stack-values";

interface Items {
  readonly type: string;
  readonly items?: Items;
}

/** A key of Pulumi.yaml's schema. */
export interface Declared {
  readonly type?: string;
  readonly items?: Items;
  readonly default?: unknown;
  readonly secret: boolean;
}

/** The schema below `config` of Pulumi.yaml, by key. */
export function schemaOf(config: unknown): Record<string, Declared> {
  return Object.fromEntries(
    Object.entries(mapping(config) ?? {}).map(([key, value]): [string, Declared] => {
      const map = mapping(value);
      if (!map) return [key, { default: value, secret: false }];
      return [
        key,
        {
          type: map.type === undefined ? undefined : text(map.type),
          items: itemsOf(map.items),
          default: map.default ?? map.value,
          secret: map.secret === true,
        },
      ];
    }),
  );
}

function itemsOf(value: unknown): Items | undefined {
  const map = mapping(value);
  return map && { type: text(map.type), items: itemsOf(map.items) };
}

/** What the CLI would refuse of a value. */
export function typeProblems(path: string, declared: Declared, { value, sealed }: Given): Problem[] {
  if (declared.type === undefined) return [];
  if (declared.secret && !sealed)
    return [{ path, message: `must be encrypted. Run: pulumi config set --secret ${path}` }];
  if (sealed && typeof value === "string") return [];
  return valueProblems(path, declared.type, declared.items, value ?? "", true);
}

/**
 * @param scalarsAreText at the top level the CLI passes every scalar as text, so that 443 is a string there and "443" an integer
 */
function valueProblems(
  path: string,
  type: string,
  items: Items | undefined,
  value: unknown,
  scalarsAreText: boolean,
): Problem[] {
  const wrong = (message: string): Problem[] => [{ path, message: `${quote(value)} ${message}` }];
  switch (type) {
    case "string":
      if (typeof value === "string" || (scalarsAreText && typeof value !== "object")) return [];
      return wrong("is no text. Write it on one line, in quotes.");
    case "integer":
      return isInteger(value) ? [] : wrong("is no whole number. Write digits only.");
    case "boolean":
      return /^(true|false)$/.test(String(value)) && typeof value !== "object"
        ? []
        : wrong("is neither true nor false.");
    case "object":
      return mapping(value) ? [] : wrong(`is no object. Write "key: value" lines below the key.`);
    case "array":
      if (!Array.isArray(value))
        return wrong(`is no list. Write one item per line below the key, each beginning with "- ".`);
      return items
        ? value.flatMap((item, index) =>
            valueProblems(`${path}[${index}]`, items.type, items.items, item, false),
          )
        : [];
    default:
      return [];
  }
}

function isInteger(value: unknown): boolean {
  return (
    typeof value === "bigint" ||
    (typeof value === "number" && Number.isInteger(value)) ||
    (typeof value === "string" && /^[-+]?\d+$/.test(value))
  );
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function quote(value: unknown): string {
  const shown = json(value);
  return shown.length > 80 ? `${shown.slice(0, 77)}…` : shown;
}
