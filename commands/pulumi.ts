import { projectDir, projectName, stateDir } from "../program/project";
import { locateStack } from "../program/stack-config";
import { findCli } from "../pulumi/cli";
import { readInvocation } from "../pulumi/invocation";
import { runCli } from "../pulumi/run";
import { forgetStack, openSession, stackFile } from "../pulumi/session";
import { CommandError, runMain } from "../terminal/terminal";

const usage = `Runs the Pulumi CLI with everything set up: state, passphrase and private settings lie in .state/.

  npm run up|preview|destroy [-- FLAGS]     deploy, show what would change, remove everything
  npx tsx commands/pulumi.ts ARGUMENTS      any other command of the CLI, e.g.
                                            stack output adminToken --show-secrets
                                            config set --secret adminToken

  --stack S           work on the stack of Pulumi.S.yaml (default: dev)
  --config-file FILE  use this file in place of Pulumi.<stack>.yaml
  --help              show this; pulumi up --help shows the CLI's own flags, which are passed on

up and destroy ask nothing: --yes is added unless --yes, --skip-preview or --preview-only is given.
With PULUMI_BACKEND_URL set, state and settings are where the CLI keeps them by itself.
Exit code 2 when there is no Pulumi CLI.
`;

/** @returns the exit code: the CLI's, or 2 without one */
export async function main(args: readonly string[]): Promise<number> {
  const invocation = readInvocation(args);
  const command = invocation.args[0];
  if (
    command === undefined ||
    command === "help" ||
    invocation.args.includes("--help") ||
    invocation.args.includes("-h")
  ) {
    process.stdout.write(usage);
    return command === undefined ? 2 : 0;
  }
  const cli = await findCli(projectDir, (line) => process.stderr.write(`${line}\n`));
  if ("reason" in cli) {
    process.stderr.write(
      `This needs the Pulumi CLI, but ${cli.reason}.\nInstall it (https://www.pulumi.com/docs/install/), or do without it: npm run plan shows the stack, npm start runs it.\n`,
    );
    return 2;
  }
  const { stack, path } = locateStack(projectDir, { stack: invocation.stack, file: invocation.configFile });
  const project = projectName();
  const session = openSession({ project, stack, stateDir });
  if (["up", "update"].includes(command) && session.folders && !stackFile(session, project))
    await refuseInProcess(stack).catch((error: unknown) => {
      forgetStack(session, project);
      throw error;
    });
  return runCli(invocation.args, { cli, session, project, sourceFile: path });
}

/** The CLI knows nothing of what npm start made in its own process, and would stumble over the names. */
async function refuseInProcess(stack: string): Promise<void> {
  // Loaded here, because all the other commands of the CLI do without.
  const { findDocker } = await import("../docker/host");
  const { isInProcess } = await import("../engine/down");
  const found = await findDocker();
  if ("docker" in found && (await isInProcess(found.docker, stack)))
    throw new CommandError(
      `Stack "${stack}" runs already: npm start deployed it without the Pulumi CLI. Run npm start -- --down first; that removes its data too.`,
    );
}

if (require.main === module) runMain(() => main(process.argv.slice(2)));
