import { setMaxListeners } from "node:events";

import { checkId, failure, skip, type Check, type Outcome, type Status, type Topic } from "./check";

/** A check and what it found: an element of the report's `checks`. */
export interface CheckResult {
  /** `kind:target`, unique. */
  readonly id: string;
  readonly kind: string;
  readonly target: string;
  readonly topic: Topic;
  readonly name: string;
  /** The evaluation's experiment that it repeats or completes. */
  readonly experiment: 1 | 2 | 3 | 4 | null;
  readonly status: Status;
  readonly expected: string;
  readonly seen: string;
  /** Milliseconds. */
  readonly durationMs: number;
  /** What to do; null when nothing is to be done. */
  readonly remedy: string | null;
  /** Where a known limit is tracked. */
  readonly link: string | null;
}

export interface RunOptions {
  /** Checks at a time. Default: 8. */
  readonly concurrency?: number;
  /** Milliseconds for those that run together, and for those that run alone; what is not done by then fails. */
  readonly deadlines: { readonly together: number; readonly alone: number };
  /** Runs between the two. */
  readonly between?: () => Promise<void>;
  /** Told of each result as it comes. */
  readonly onResult?: (result: CheckResult, done: number, total: number) => void;
  /** Told when a check begins. */
  readonly onStart?: (check: Check) => void;
}

const defaultCheckTimeout = 20_000;

/**
 * Runs checks, several at a time, each after those that it needs; then those that run alone. Never throws for what a
 * check does.
 *
 * @returns results in the order of the checks
 * @throws {Error} for checks of one id, or that need an unknown one: a defect
 */
export async function runChecks(checks: readonly Check[], options: RunOptions): Promise<CheckResult[]> {
  const { concurrency = 8, deadlines, between, onResult, onStart } = options;
  const ids = new Set(checks.map(checkId));
  if (ids.size !== checks.length) throw new Error("two checks have one id");
  for (const check of checks)
    for (const need of check.needs ?? [])
      if (!ids.has(need)) throw new Error(`${checkId(check)} needs the unknown check ${need}`);

  let controller = new AbortController();
  const results = new Map<string, CheckResult>();
  const tasks = new Map<string, Promise<Status>>();
  const slots = semaphore(concurrency);

  const perform = async (check: Check): Promise<Status> => {
    for (const need of check.needs ?? []) {
      const status = await start(need);
      if (status === "fail" || status === "skip") {
        const needed = checks.find((candidate) => checkId(candidate) === need);
        const reason = `not tried: "${needed?.name ?? need}" ${status === "fail" ? "failed" : "was not tried"}`;
        return record(check, skip(reason), 0);
      }
    }
    const release = await slots();
    onStart?.(check);
    const since = performance.now();
    const outcome = await attempt(check, controller.signal);
    release();
    return record(check, outcome, performance.now() - since);
  };
  const record = (check: Check, outcome: Outcome, duration: number): Status => {
    const { kind, target, topic, name, experiment, expected } = check;
    const { status, seen, link } = outcome;
    const remedy = status === "fail" ? (outcome.remedy ?? check.remedy) : (outcome.remedy ?? null);
    const result: CheckResult = {
      id: checkId(check),
      kind,
      target,
      topic,
      name,
      experiment: experiment ?? null,
      status,
      expected,
      seen,
      durationMs: Math.round(duration),
      remedy,
      link: link ?? null,
    };
    results.set(result.id, result);
    onResult?.(result, results.size, checks.length);
    return status;
  };
  const start = (id: string): Promise<Status> => {
    const running = tasks.get(id);
    if (running) return running;
    const check = checks.find((candidate) => checkId(candidate) === id);
    if (!check) throw new Error(`there is no check ${id}`);
    const task = perform(check);
    tasks.set(id, task);
    return task;
  };

  const phase = async (time: number, work: () => Promise<unknown>) => {
    controller = new AbortController();
    setMaxListeners(0, controller.signal);
    const timer = setTimeout(() => controller.abort(), time);
    await work().finally(() => clearTimeout(timer));
  };
  const [alone, together] = [checks.filter((check) => check.alone), checks.filter((check) => !check.alone)];
  await phase(deadlines.together, () => Promise.all(together.map((check) => start(checkId(check)))));
  await between?.();
  await phase(deadlines.alone, async () => {
    for (const check of alone) await start(checkId(check));
  });
  return checks.flatMap((check) => results.get(checkId(check)) ?? []);
}

/** Runs a check within its time, and makes an outcome of whatever happens. */
async function attempt(check: Check, outer: AbortSignal): Promise<Outcome> {
  const own = new AbortController();
  setMaxListeners(0, own.signal);
  const abort = () => own.abort();
  const limit = check.timeout ?? defaultCheckTimeout;
  const timer = setTimeout(abort, limit);
  if (outer.aborted) abort();
  outer.addEventListener("abort", abort);
  let giveUp: NodeJS.Timeout | undefined;
  // A check that does not heed its signal is left behind a second later.
  const abandoned = new Promise<Outcome>((resolve) => {
    const leave = () => (giveUp = setTimeout(() => resolve(failure(new Error("not done in time"))), 1000));
    if (own.signal.aborted) leave();
    else own.signal.addEventListener("abort", leave);
  });
  try {
    return await Promise.race([check.run(own.signal).catch(failure), abandoned]);
  } finally {
    clearTimeout(timer);
    clearTimeout(giveUp);
    outer.removeEventListener("abort", abort);
  }
}

/** Hands out a number of slots, first come, first served. */
function semaphore(slots: number): () => Promise<() => void> {
  let free = slots;
  const waiting: (() => void)[] = [];
  const release = () => {
    const next = waiting.shift();
    if (next) next();
    else free++;
  };
  return async () => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    return release;
  };
}
