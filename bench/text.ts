/** The middle value; of an even number the higher one of the two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (middle === undefined) throw new Error("nothing was measured");
  return middle;
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Does something and says how long it took. */
export async function taken<T>(work: () => Promise<T>): Promise<{ result: T; milliseconds: number }> {
  const started = performance.now();
  const result = await work();
  return { result, milliseconds: performance.now() - started };
}

/** A Markdown table. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** A ratio, such as `1.3x`. */
export function times(value: number, unit: number): string {
  return `${(value / unit).toFixed(value / unit < 0.1 ? 3 : 2)}x`;
}

/** What each one more adds from the first size to the last, in per cent of the first value, such as `+0.4 %`. */
export function perMore(values: readonly number[], sizes: readonly number[]): string {
  const [first, last] = [values[0]!, values.at(-1)!];
  const percent = (100 * (last - first)) / first / (sizes.at(-1)! - sizes[0]!);
  return `${percent < 0 ? "-" : "+"}${Math.abs(percent).toFixed(1)} %`;
}
