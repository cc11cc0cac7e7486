import type { Names } from "../stack/names";

/** Labels by which people and commands find what belongs to a stack, and which part of it. */
export function labels({ prefix }: Names, role: string): { label: string; value: string }[] {
  return [
    { label: "torrust-pingoo.role", value: role },
    { label: "torrust-pingoo.stack", value: prefix },
  ];
}
