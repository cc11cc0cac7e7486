import { planStack, problemsText, toJson, toText, writeFiles } from "../plan";
import { defaultStack } from "../program/stack-config";
import { parseFlags } from "../terminal/arguments";
import { runMain, styleFor } from "../terminal/terminal";

const usage = `Shows what a stack consists of, without Pulumi CLI, account, Docker engine or network.

  npm run plan -- [--stack S | --config FILE] [--json] [--out DIR]

  --stack S      plan the stack of Pulumi.S.yaml (default: ${defaultStack})
  --config FILE  plan a file of the form of Pulumi.<stack>.yaml
  --json         print one JSON object: {"resources": [{"type", "name", "parent", "inputs"}],
                 "files": {"<service>:<path>": "<text>"}, "outputs": {}}, or {"problems": [{"path", "message"}]}
  --out DIR      also write each rendered file to DIR/<service>/<path>
  --help         show this

Secrets show as [secret]; encrypted values stay encrypted. Exit code 1 when the configuration has problems.
`;

/** @returns the exit code: 0 planned, 1 problems */
export async function main(args: readonly string[]): Promise<number> {
  const flags = parseFlags("npm run plan --", args, {
    stack: { type: "string" },
    config: { type: "string" },
    json: { type: "boolean" },
    out: { type: "string" },
    help: { type: "boolean", short: "h" },
  });
  if (flags.help) {
    process.stdout.write(usage);
    return 0;
  }
  const plan = await planStack({ stack: flags.stack, file: flags.config });
  if ("problems" in plan) {
    if (flags.json) print({ problems: plan.problems });
    else
      process.stderr.write(
        problemsText(
          plan.problems,
          flags.config ?? `Stack ${flags.stack ?? defaultStack}`,
          styleFor(process.stderr),
        ),
      );
    return 1;
  }
  if (flags.out !== undefined) writeFiles(flags.out, plan.files);
  if (flags.json) print(toJson(plan.result, plan.files));
  else process.stdout.write(toText(plan.result, plan.files, styleFor(process.stdout)));
  if (flags.out !== undefined && !flags.json)
    process.stdout.write(`The files are in ${flags.out}, with their secrets masked.\n`);
  return 0;
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

if (require.main === module) runMain(() => main(process.argv.slice(2)));
