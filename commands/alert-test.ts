import { sendTestAlert, type TestResult } from "../alerts/test-alert";
import { findStackEngine } from "../docker/stack";
import { projectName } from "../program/project";
import { defaultStack } from "../program/stack-config";
import { parseFlags } from "../terminal/arguments";
import { createProgress, runMain, styleFor, table } from "../terminal/terminal";

const usage = `Sends a test alert through the deployed Alertmanager to every receiver, and says what became of it.

  npm run alert:test [-- --stack S] [--json]

  --stack S  the stack of that name (default: ${defaultStack})
  --json     print one JSON object: {"prometheus": true, "receivers": [{"name", "delivered", "reason"}]}

It talks to the Docker engine of this machine, or to the one that DOCKER_HOST names (ssh://user@host for a remote one).
Exit code 0: all were told, 1: somebody was not, 2: could not be tried.
`;

/** @returns the exit code: 0 all were told, 1 somebody was not; 2, could not be tried, is thrown */
export async function main(args: readonly string[]): Promise<number> {
  const flags = parseFlags("npm run alert:test --", args, {
    stack: { type: "string" },
    json: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  });
  if (flags.help) {
    process.stdout.write(usage);
    return 0;
  }
  const { docker, prefix } = await findStackEngine(projectName(), flags.stack ?? defaultStack);
  const progress = createProgress();
  const result = await sendTestAlert({ docker, prefix, progress });
  progress.stop();
  process.stdout.write(flags.json ? `${JSON.stringify(result, null, 2)}\n` : report(prefix, result));
  return result.prometheus &&
    result.receivers.length > 0 &&
    result.receivers.every(({ delivered }) => delivered)
    ? 0
    : 1;
}

function report(prefix: string, { prometheus, receivers }: TestResult): string {
  const style = styleFor(process.stdout);
  const mark = (good: boolean) => (good ? style.green("✓") : style.red("✗"));
  const rows = [
    [
      mark(prometheus),
      "prometheus",
      prometheus
        ? "its alerts reach Alertmanager"
        : "none of its alerts has reached Alertmanager: see the container's log, or wait a minute after a start",
    ],
    ...receivers.map(({ name, delivered, reason }) => [
      mark(delivered),
      name,
      delivered ? "took the test alert; it is taken back in a minute" : `was not told: ${reason}`,
    ]),
    ...(receivers.length === 0
      ? [
          [
            mark(false),
            "receivers",
            "nobody is told of alerts. Run: pulumi config set --secret --path alertReceivers.ntfy.url https://ntfy.sh/<a topic that nobody guesses>",
          ],
        ]
      : []),
  ];
  return `${prefix}\n${table(rows, { indent: "  " })}\n`;
}

if (require.main === module) runMain(() => main(process.argv.slice(2)));
