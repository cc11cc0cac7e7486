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
  return new Run(checks, options).all();
}

class Run {
  readonly #checks: ReadonlyMap<string, Check>;
  readonly #options: RunOptions;
  readonly #results = new Map<string, CheckResult>();
  readonly #tasks = new Map<string, Promise<Status>>();
  readonly #slots: () => Promise<() => void>;
  #signal = new AbortController().signal;

  constructor(checks: readonly Check[], options: RunOptions) {
    this.#checks = new Map(checks.map((check) => [checkId(check), check]));
    this.#options = options;
    this.#slots = semaphore(options.concurrency ?? 8);
    if (this.#checks.size !== checks.length) throw new Error("two checks have one id");
    for (const check of checks)
      for (const need of check.needs ?? [])
        if (!this.#checks.has(need)) throw new Error(`${checkId(check)} needs the unknown check ${need}`);
  }

  async all(): Promise<CheckResult[]> {
    const { deadlines, between } = this.#options;
    const ids = [...this.#checks.keys()];
    const [alone, together] = [true, false].map((wanted) =>
      ids.filter((id) => Boolean(this.#checks.get(id)?.alone) === wanted),
    ) as [string[], string[]];
    await this.#phase(deadlines.together, () => Promise.all(together.map((id) => this.#start(id))));
    await between?.();
    await this.#phase(deadlines.alone, async () => {
      for (const id of alone) await this.#start(id);
    });
    return ids.flatMap((id) => this.#results.get(id) ?? []);
  }

  /** Does a part of the work; what is not done by the end of its time is stopped. */
  async #phase(time: number, work: () => Promise<unknown>): Promise<void> {
    const controller = new AbortController();
    setMaxListeners(0, controller.signal);
    this.#signal = controller.signal;
    const timer = setTimeout(() => controller.abort(), time);
    await work().finally(() => clearTimeout(timer));
  }

  /** Runs a check once, whoever asks for it. */
  #start(id: string): Promise<Status> {
    let task = this.#tasks.get(id);
    if (!task) {
      const check = this.#checks.get(id);
      if (!check) throw new Error(`there is no check ${id}`);
      task = this.#perform(check);
      this.#tasks.set(id, task);
    }
    return task;
  }

  async #perform(check: Check): Promise<Status> {
    for (const need of check.needs ?? []) {
      const status = await this.#start(need);
      if (status === "fail" || status === "skip") {
        const name = this.#checks.get(need)?.name ?? need;
        const reason = `not tried: "${name}" ${status === "fail" ? "failed" : "was not tried"}`;
        return this.#record(check, skip(reason), 0);
      }
    }
    const release = await this.#slots();
    this.#options.onStart?.(check);
    const since = performance.now();
    const outcome = await attempt(check, this.#signal);
    release();
    return this.#record(check, outcome, performance.now() - since);
  }

  #record(check: Check, outcome: Outcome, duration: number): Status {
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
    this.#results.set(result.id, result);
    this.#options.onResult?.(result, this.#results.size, this.#checks.size);
    return status;
  }
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
