/** When something runs: the numbers that match, of UTC, by field. */
export interface Schedule {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly days: readonly number[];
  readonly months: readonly number[];
  /** 0 is Sunday. */
  readonly weekdays: readonly number[];
  /** Days of the month and of the week are both restricted: either is enough, as cron has it. */
  readonly eitherDay: boolean;
}

const fields = [
  { name: "minute", min: 0, max: 59 },
  { name: "hour", min: 0, max: 23 },
  { name: "day of the month", min: 1, max: 31 },
  { name: "month", min: 1, max: 12 },
  { name: "day of the week", min: 0, max: 7 },
] as const;

/**
 * Reads a cron expression of five fields with numbers, `*`, lists, ranges and steps (crontab(5)). Of our own: croner
 * refuses `10/20`, cron-parser loads a library of time zones, and both let through L, #, H and names, which cron does not.
 *
 * @returns the schedule, or what is wrong with the expression
 */
export function parseCron(text: string): Schedule | { readonly problem: string } {
  const parts = text.trim().split(/\s+/);
  if (parts.length !== fields.length) return { problem: `has ${parts.length} fields, not five` };
  const numbers: number[][] = [];
  for (const [index, part] of parts.entries()) {
    const { name, min, max } = fields[index]!;
    const found = part.split(",").map((term) => expand(term, min, max));
    if (found.some((list) => list === undefined))
      return { problem: `has "${part}" as its ${name}, which goes from ${min} to ${max}` };
    numbers.push([...new Set(found.flatMap((list) => list!))].sort((a, b) => a - b));
  }
  const [minutes = [], hours = [], days = [], months = [], weekdays = []] = numbers;
  return {
    minutes,
    hours,
    days,
    months,
    // Both 0 and 7 are Sunday.
    weekdays: [...new Set(weekdays.map((day) => day % 7))].sort((a, b) => a - b),
    eitherDay: !parts[2]!.startsWith("*") && !parts[4]!.startsWith("*"),
  };
}

/** The numbers of `*`, `5`, `1-5`, and the same with a step, such as `1-30/2`. */
function expand(term: string, min: number, max: number): number[] | undefined {
  const match = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(term);
  if (!match) return undefined;
  const [, from, to, step] = match;
  const first = from === undefined ? min : Number(from);
  const last = from === undefined ? max : Number(to ?? (step === undefined ? from : max));
  if (first < min || last > max || first > last || Number(step ?? 1) < 1) return undefined;
  const numbers: number[] = [];
  for (let number = first; number <= last; number += Number(step ?? 1)) numbers.push(number);
  return numbers;
}

/** Seconds of the longest pause between two days on which something runs; never less than a day. */
export function longestPause(schedule: Schedule): number {
  const { days, months, weekdays, eitherDay } = schedule;
  let [last, longest] = [0, 1];
  // Over a leap year and the three after it.
  for (let day = 1; day <= 1461; day++) {
    const date = new Date(Date.UTC(2024, 0, 1 + day));
    const [inMonth, inWeek] = [days.includes(date.getUTCDate()), weekdays.includes(date.getUTCDay())];
    if (!months.includes(date.getUTCMonth() + 1) || !(eitherDay ? inMonth || inWeek : inMonth && inWeek))
      continue;
    if (last > 0) longest = Math.max(longest, day - last);
    last = day;
  }
  return longest * 86_400;
}
