/** A value that must not be shown, wherever in an object it stands. */
export class SecretValue {
  constructor(readonly value: unknown) {}
}

/** What is shown in a secret's place. */
export const mask = "[secret]";

/** The value with every secret laid open. */
export function reveal(value: unknown): unknown {
  if (value instanceof SecretValue) return reveal(value.value);
  return mapValue(value, reveal);
}

/** Whether a secret stands anywhere in the value. */
export function holdsSecret(value: unknown): boolean {
  if (value instanceof SecretValue) return true;
  if (Array.isArray(value)) return value.some(holdsSecret);
  return isObject(value) && Object.values(value).some(holdsSecret);
}

/** Every text that stands as a secret of its own in the value, e.g. a generated password. */
export function secretTexts(value: unknown): string[] {
  if (value instanceof SecretValue) {
    const inner = reveal(value);
    return typeof inner === "string" ? [inner] : allTexts(inner);
  }
  if (Array.isArray(value)) return value.flatMap(secretTexts);
  return isObject(value) ? Object.values(value).flatMap(secretTexts) : [];
}

/** Hides secrets in values and texts. */
export interface Masker {
  /** The value with secrets masked: known ones within texts, unknown ones as a whole. */
  value(value: unknown): unknown;
  /** A text with every known secret masked, also where it is URL- or JSON-escaped, or inside Base64. */
  text(text: string): string;
}

/**
 * A masker that knows the secrets' own values, so that of a rendered file only the password is hidden and not the
 * file. Texts of fewer than four characters are not searched for: they would match everywhere.
 */
export function createMasker(secrets: Iterable<string>): Masker {
  const known = [...new Set(secrets)]
    .filter((secret) => secret.length >= 4)
    .sort((a, b) => b.length - a.length);
  const spellings = [
    ...new Set(known.flatMap((secret) => [secret, encodeURIComponent(secret), jsonEscaped(secret)])),
  ]
    .sort((a, b) => b.length - a.length)
    .map((spelling) => spelling.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = spellings.length > 0 ? new RegExp(spellings.join("|"), "g") : undefined;

  const text = (input: string): string => {
    if (!pattern) return input;
    const plain = input.replace(pattern, mask);
    return plain.replace(/[A-Za-z0-9+/_-]{8,}={0,2}/g, (chunk) => {
      const decoded = Buffer.from(chunk, "base64").toString("latin1");
      return known.some((secret) => decoded.includes(secret)) ? mask : chunk;
    });
  };
  const value = (input: unknown): unknown => {
    if (input instanceof SecretValue) {
      const inner = reveal(input);
      if (typeof inner !== "string")
        return isObject(inner) || Array.isArray(inner) ? value(sealLeaves(inner)) : mask;
      const masked = text(inner);
      return masked === inner ? mask : masked;
    }
    return typeof input === "string" ? text(input) : mapValue(input, value);
  };
  return { value, text };
}

/** A secret list or object as one of secret leaves: each is masked on its own, and the shape still shows. */
export function sealLeaves(value: unknown): unknown {
  if (value instanceof SecretValue) return value;
  return Array.isArray(value) || isObject(value) ? mapValue(value, sealLeaves) : new SecretValue(value);
}

function jsonEscaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

function allTexts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (Array.isArray(value)) return value.flatMap(allTexts);
  return isObject(value) ? Object.values(value).flatMap(allTexts) : [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof SecretValue)
  );
}

function mapValue(value: unknown, change: (value: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(change);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, change(member)]));
}
