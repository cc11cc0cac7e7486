/**
 * What the commands share to talk to a person: colours, aligned tables, durations and live progress. Nothing here
 * writes to stdout unless it is handed stdout, so that `--json` output stays clean.
 */

/** The part of a stream that the helpers need; `process.stdout` and `process.stderr` have it. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Paints text, or returns it unchanged where colours are unwanted. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

/**
 * Colours for a stream: on a terminal only, never when `NO_COLOR` is set or `TERM` is `dumb`, always when
 * `FORCE_COLOR` is set and not `0` (https://no-color.org).
 */
export function styleFor(stream: TextStream, environment: NodeJS.ProcessEnv = process.env): Style {
  const forced = environment.FORCE_COLOR;
  const wanted = environment.NO_COLOR
    ? false
    : forced !== undefined
      ? forced !== "0"
      : stream.isTTY === true && environment.TERM !== "dumb";
  const paint = (on: number, off: number) => (text: string) =>
    wanted && text !== "" ? `\u001b[${on}m${text}\u001b[${off}m` : text;
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    green: paint(32, 39),
    yellow: paint(33, 39),
    cyan: paint(36, 39),
  };
}

/** Time spent, for people: `0.4 s`, `12 s`, `3 min 05 s`. Milliseconds in. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}

/** Size for people: `512 B`, `1.5 kB`, `117 MB`. Bytes in, powers of 1000. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return unit === 0 || value >= 99.5
    ? `${Math.round(value)} ${units[unit]}`
    : `${value.toFixed(1)} ${units[unit]}`;
}

// eslint-disable-next-line no-control-regex
const escapes = /\u001b\[[0-9;]*[A-Za-z]/g;

/** Columns that a text takes on a terminal: colours take none, East Asian wide characters and emoji two. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text.replace(escapes, "").normalize("NFC")) {
    if (/\p{Mark}|\p{Control}|\u200d|\ufe0f/u.test(character)) continue;
    width +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u.test(
        character,
      )
        ? 2
        : 1;
  }
  return width;
}

/** Lines of cells, padded so that the columns line up; two spaces between columns, none at the end of a line. */
export function table(
  rows: readonly (readonly string[])[],
  options: { readonly indent?: string } = {},
): string {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, displayWidth(cell));
    });
  return rows
    .map((row) => {
      const cells = row.map((cell, column) =>
        column === row.length - 1 ? cell : cell + " ".repeat((widths[column] ?? 0) - displayWidth(cell)),
      );
      return `${options.indent ?? ""}${cells.join("  ")}`.trimEnd();
    })
    .join("\n");
}

/** One piece of work that is shown while it runs. */
export interface Step {
  /** What it is doing now, e.g. `waiting until healthy`. */
  update(detail: string): void;
  succeed(detail?: string): void;
  /** It did not happen, and need not. */
  skip(detail?: string): void;
  fail(detail?: string): void;
}

/**
 * Shows what runs and for how long. On a terminal one line is redrawn with a spinner; elsewhere each step prints a
 * line when it ends, and one every ten seconds while it runs, so that a log never falls silent.
 */
export interface Progress {
  /** Begins a step; several may run at once. */
  step(name: string): Step;
  /** Prints a line above the live one. */
  line(text: string): void;
  /** Takes the live line away and ends the timers; the object may be used again afterwards. */
  stop(): void;
}

interface RunningStep {
  readonly name: string;
  readonly since: number;
  detail: string;
  reported: number;
}

const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const redrawEvery = 100;
const repeatEvery = 10_000;

/**
 * Progress on a stream, stderr unless told otherwise. Of our own: listr2 wants to know all tasks before it begins and ora
 * shows one at a time, and both fall silent where there is no terminal.
 */
export function createProgress(
  stream: TextStream = process.stderr,
  options: { readonly environment?: NodeJS.ProcessEnv; readonly now?: () => number } = {},
): Progress {
  return new StreamProgress(stream, options.environment ?? process.env, options.now ?? Date.now);
}

class StreamProgress implements Progress {
  readonly #stream: TextStream;
  readonly #now: () => number;
  readonly #style: Style;
  /** One line is redrawn. */
  readonly #live: boolean;
  readonly #running = new Set<RunningStep>();
  #timer: NodeJS.Timeout | undefined;
  #frame = 0;
  #drawn = false;

  constructor(stream: TextStream, environment: NodeJS.ProcessEnv, now: () => number) {
    this.#stream = stream;
    this.#now = now;
    this.#style = styleFor(stream, environment);
    this.#live = stream.isTTY === true && environment.TERM !== "dumb" && !environment.CI;
  }

  step(name: string): Step {
    const step: RunningStep = { name, since: this.#now(), detail: "", reported: this.#now() };
    this.#running.add(step);
    this.#watch();
    this.#draw();
    return {
      update(detail) {
        step.detail = detail;
      },
      succeed: (detail) => this.#end(step, this.#style.green("✓"), detail),
      skip: (detail) => this.#end(step, this.#style.dim("-"), detail),
      fail: (detail) => this.#end(step, this.#style.red("✗"), detail),
    };
  }

  line(text: string): void {
    this.#erase();
    this.#stream.write(`${text}\n`);
    this.#draw();
  }

  stop(): void {
    this.#running.clear();
    this.#rest();
  }

  #end(step: RunningStep, mark: string, detail: string | undefined): void {
    if (!this.#running.delete(step)) return;
    this.line(`  ${mark} ${step.name}${detail ? `: ${detail}` : ""} ${this.#style.dim(this.#took(step))}`);
    if (this.#running.size === 0) this.#rest();
  }

  #watch(): void {
    const act = this.#live ? () => this.#draw() : () => this.#remind();
    this.#timer ??= setInterval(act, this.#live ? redrawEvery : 1000);
    this.#timer.unref();
  }

  #rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#erase();
  }

  #draw(): void {
    const [first, ...others] = this.#running;
    if (!this.#live || !first) return;
    const more = others.length > 0 ? ` and ${others.length} more` : "";
    const text = `${frames[this.#frame++ % frames.length]} ${described(first)}${more} ${this.#took(first)}`;
    this.#erase();
    this.#stream.write(clip(text, (this.#stream.columns || 80) - 1));
    this.#drawn = true;
  }

  #erase(): void {
    if (this.#drawn) this.#stream.write("\r\u001b[2K");
    this.#drawn = false;
  }

  #remind(): void {
    for (const step of this.#running) {
      if (this.#now() - step.reported < repeatEvery) continue;
      step.reported = this.#now();
      this.line(`  ${this.#style.dim("…")} ${described(step)} ${this.#style.dim(this.#took(step))}`);
    }
  }

  #took({ since }: RunningStep): string {
    return `(${formatDuration(this.#now() - since)})`;
  }
}

function described({ name, detail }: RunningStep): string {
  return detail ? `${name}: ${detail}` : name;
}

/** A progress that shows nothing, for `--json` and for tests. */
export const silentProgress: Progress = {
  step: () => ({ update() {}, succeed() {}, skip() {}, fail() {} }),
  line() {},
  stop() {},
};

function clip(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  let clipped = "";
  for (const character of text) {
    if (displayWidth(clipped + character) > columns - 1) break;
    clipped += character;
  }
  return `${clipped}…`;
}

/** Thrown by a command for something that the person can put right: the message is shown, a stack trace is not. */
export class CommandError extends Error {
  /** @param exitCode what the process exits with: 1 when what was asked for failed, 2 when it could not be tried. */
  constructor(
    message: string,
    readonly exitCode: number = 1,
  ) {
    super(message);
    this.name = "CommandError";
  }
}

/**
 * Runs a command's main function as the process's work: its number becomes the exit code, a CommandError is shown as
 * its message, anything else as a defect with its stack. If the event loop runs dry before `main` returns, that counts as a failure.
 */
export function runMain(main: () => Promise<number>): void {
  process.exitCode = 70;
  main().then(
    (code) => {
      process.exitCode = code;
    },
    (error: unknown) => {
      const style = styleFor(process.stderr);
      if (error instanceof CommandError) {
        process.stderr.write(`${style.red("error:")} ${error.message}\n`);
        process.exitCode = error.exitCode;
        return;
      }
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      process.stderr.write(`${style.red("error:")} ${text}\n`);
      process.exitCode = 70;
    },
  );
}
