/** Text from outside, without control characters that could steer a terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Control}|\p{Format}|\p{Surrogate}|\ufffd/gu, "·");
}

/** Start of a body for people: one line, no control characters. */
export function excerpt(body: Buffer | string, length = 80): string {
  const whole = typeof body === "string" ? body : body.subarray(0, length * 4).toString("utf8");
  const text = printable(whole.replace(/\s+/g, " ").trim());
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

/** `1 peer`, `2 peers`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** `a, b and c`. */
export function list(items: readonly string[]): string {
  return items.length < 2 ? (items[0] ?? "") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}
