import { createHash } from "node:crypto";

import type { Problem } from "../settings";
import { mapping } from "./stack-file";

/** A value of a stack's file. */
export interface Given {
  /** With placeholders where something was encrypted. */
  readonly value: unknown;
  readonly sealed: boolean;
}

/** The stack's values by full key, in the file's order. */
export function valuesOf(config: unknown, project: string, problems: Problem[]): Map<string, Given> {
  const values = new Map<string, Given>();
  for (const [written, value] of Object.entries(mapping(config) ?? {})) {
    const key = fullKey(written, project);
    if (!key) {
      problems.push({
        path: written,
        message: `is no configuration key. Write <namespace>:<name>, or just <name> for ${project}:<name>.`,
      });
      continue;
    }
    if (values.has(key)) {
      problems.push({
        path: displayKey(key, project),
        message: "is set twice, with and without its namespace. Delete one.",
      });
      continue;
    }
    values.set(key, unseal(value, displayKey(key, project)));
  }
  return values;
}

/** `name`, `namespace:name` and the older `namespace:config:name` as `namespace:name`. */
function fullKey(key: string, project: string): string | undefined {
  const parts = key.split(":");
  if (parts.length === 3 && parts[1] === "config") parts.splice(1, 1);
  if (parts.length === 1) parts.unshift(project);
  return parts.length === 2 && parts.every((part) => part !== "") ? parts.join(":") : undefined;
}

/** A key as people write it: without the project's own namespace. */
export function displayKey(key: string, project: string): string {
  return key.startsWith(`${project}:`) ? key.slice(project.length + 1) : key;
}

function unseal(value: unknown, name: string): Given {
  if (Array.isArray(value)) {
    const items = value.map((item, index) => unseal(item, `${name}-${index}`));
    return { value: items.map((item) => item.value), sealed: items.some((item) => item.sealed) };
  }
  const map = mapping(value);
  if (!map) return { value, sealed: false };
  const keys = Object.keys(map);
  if (keys.length === 1 && typeof map.secure === "string")
    return { value: placeholder(name, map.secure), sealed: true };
  const entries = keys.map((key) => [key, unseal(map[key], `${name}-${key}`)] as const);
  return {
    value: Object.fromEntries(entries.map(([key, item]) => [key, item.value])),
    sealed: entries.some(([, item]) => item.sealed),
  };
}

/** A value as the CLI passes it on: scalars as their text, lists and objects as JSON with sorted keys. */
export function configText(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? json(value) : String(value);
}

/** JSON with sorted keys. */
export function json(value: unknown): string {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map(json).join(",")}]`;
  const map = mapping(value);
  if (!map) return JSON.stringify(value ?? null);
  const members = Object.keys(map)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${json(map[key])}`);
  return `{${members.join(",")}}`;
}

/**
 * Stands for an encrypted value where the CLI is not there to decrypt it; fits wherever a generated secret fits. One whose
 * name says that it is a URL is a URL.
 */
export function placeholder(name: string, ciphertext: string): string {
  const digest = createHash("sha256").update(`${name}\n${ciphertext}`).digest("hex").slice(0, 16);
  const text = `sealed-${name.replace(/[^A-Za-z0-9]+/g, "-")}-${digest}`;
  return /(^|-)url$/i.test(name) ? `https://sealed.invalid/${text}` : text;
}
