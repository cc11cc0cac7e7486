import { reveal, sealLeaves, SecretValue } from "../program/secrets";

/** An object among the inputs of a resource. */
export type Fields = Readonly<Record<string, unknown>>;

/** The objects of a list, whose secrecy is passed on to what is in it. */
export function listOf(value: unknown): readonly Fields[] {
  const list = unwrapList(value);
  return list.filter((item): item is Fields => typeof item === "object" && item !== null);
}

/** A list, the secrecy of the whole or of an element passed on to what is in it. */
function unwrapList(value: unknown): readonly unknown[] {
  const list = value instanceof SecretValue ? sealLeaves(reveal(value)) : value;
  if (!Array.isArray(list)) return [];
  return list.map((item: unknown) => (item instanceof SecretValue ? sealLeaves(reveal(item)) : item));
}
