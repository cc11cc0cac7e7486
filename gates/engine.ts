import { spawn } from "node:child_process";

import { dataVolumeCommand, readyFile } from "../configs/cloud-init";
import { sshArguments, sshCommandLine, type SshTarget } from "../configs/ssh-client";

export interface EngineGateInputs {
  readonly target: SshTarget;
  /** The machine is new and sets itself up with our user data. */
  readonly setsItselfUp: boolean;
  /** Seconds. */
  readonly timeout: number;
}

/** Exit code of ssh itself. */
const sshFailed = 255;

/** What is waited for, in this order; the script says each one when it gets there. */
const stages = {
  ssh: "SSH to let us in",
  setup: "cloud-init to finish",
  volume: "the data volume to be mounted",
  engine: "the Docker engine to answer",
} as const;
type Stage = keyof typeof stages;

/** Exit code of the script for what no waiting mends. */
const hopeless = 42;
/** Seconds for which a machine that has just been made may still refuse keys, its own or ours. */
const settling = 60;

const setupScript = `\
echo stage=setup
cloud-init status --wait >/dev/null 2>&1 || true
if [ ! -e ${readyFile} ]; then
  cloud-init status --long >&2 || true
  tail -n 20 /var/log/cloud-init-output.log >&2 || true
  exit ${hopeless}
fi
echo stage=volume
${dataVolumeCommand} >/dev/null
`;

const engineScript = `\
echo stage=engine
version=$(docker version --format '{{.Server.Version}}')
echo "version=$version"
`;

/** The first that forgets a container's UDP connections when it replaces the container (github.com/moby/moby/pull/44742). */
const forgetsConnections = 23;

/**
 * Waits until a host's Docker engine answers over SSH, and on a new machine until it has set itself up.
 *
 * @param say is told now and then what is being waited for
 * @throws {Error} that names what was waited for, what was heard last, and how to look
 */
export async function waitForEngine(
  { target, setsItselfUp, timeout }: EngineGateInputs,
  say: (line: string) => void = () => {},
): Promise<void> {
  const started = Date.now();
  const elapsed = () => (Date.now() - started) / 1000;
  const script = `set -eu\n${setsItselfUp ? setupScript : ""}${engineScript}`;
  let told: Stage | undefined;
  for (;;) {
    // In whole milliseconds: Node refuses what rounding leaves over.
    const limit = Math.max(1000, Math.round((timeout - elapsed()) * 1000));
    const attempt = await run([...sshArguments(target), script], limit);
    if (attempt.code === 0) return warnOfOldEngine(target, attempt, say);
    const refused =
      attempt.code === sshFailed && /Permission denied|Host key verification failed/.test(attempt.stderr);
    const turnedAway = refused && (!setsItselfUp || elapsed() > settling);
    if (turnedAway || attempt.code === hopeless || elapsed() >= timeout)
      throw new Error(failure(target, attempt, Math.round(elapsed())));
    if (told !== attempt.stage) say(`${target.host}: waiting for ${stages[attempt.stage]}`);
    told = attempt.stage;
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

function warnOfOldEngine({ host }: SshTarget, { version }: Attempt, say: (line: string) => void): void {
  if (version && Number.parseInt(version) < forgetsConnections)
    say(
      `${host}: Docker ${version} leaves UDP connections behind when a container is replaced: clients that announce often from one port stay lost, or are seen with the engine's address. Docker ${forgetsConnections} and later do not.`,
    );
}

interface Attempt {
  /** Null: it was ended because the time was up. */
  readonly code: number | null;
  readonly stage: Stage;
  readonly stderr: string;
  /** The engine's, once it answers. */
  readonly version?: string;
}

function run(args: readonly string[], limit: number): Promise<Attempt> {
  return new Promise((resolve, reject) => {
    const child = spawn("ssh", args, { stdio: ["ignore", "pipe", "pipe"], timeout: limit });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (data: Buffer) => (stdout += String(data)));
    child.stderr.on("data", (data: Buffer) => (stderr += String(data)));
    child.on("error", (error: NodeJS.ErrnoException) =>
      reject(
        error.code === "ENOENT"
          ? new Error("There is no ssh on this machine: install OpenSSH's client.")
          : error,
      ),
    );
    child.on("close", (code) => {
      const stage = ([...stdout.matchAll(/^stage=(\w+)$/gm)].pop()?.[1] ?? "ssh") as Stage;
      const version = /^version=(\S+)$/m.exec(stdout)?.[1];
      resolve({ code, stage, stderr: stderr.trim(), version });
    });
  });
}

function failure(target: SshTarget, { code, stage, stderr }: Attempt, seconds: number): string {
  const where = `${target.user}@${target.host}, port ${target.port}`;
  const heard = stderr ? `\nWhat it said last:\n${indent(stderr)}` : "";
  const look = sshCommandLine(target);
  const fingerprint = /SHA256:\S+?(?=\.?$)/m.exec(stderr)?.[0];
  if (code === sshFailed && /Host key verification failed/.test(stderr))
    return `The host at ${where} does not have the key ${target.hostKey}${fingerprint ? ` but ${fingerprint}` : ""}: it is another machine, or someone is in between.\nLook with:\n  ssh-keyscan -p ${target.port} ${target.host}`;
  if (code === sshFailed && /Permission denied/.test(stderr))
    return `The host at ${where} accepts none of this machine's keys. Set sshKeyFile to the private key of one that may log in, or add it to the SSH agent (ssh-add).${heard}\nTry it with:\n  ${look}`;
  if (code === hopeless)
    return `The host at ${where} could not set itself up.${heard}\nLook with:\n  ${look} less /var/log/cloud-init-output.log\nA new machine tries again: pulumi up --replace with the server's URN.`;
  const hint: Record<Stage, string> = {
    ssh: "Is this machine's address among those from which SSH is allowed? Does the server run?",
    setup: `${look} tail -f /var/log/cloud-init-output.log`,
    volume: `${look} journalctl -u torrust-data`,
    engine: `${look} journalctl -u docker`,
  };
  return `The host at ${where} was not ready after ${seconds} s: waited for ${stages[stage]}.${heard}\nLook with:\n  ${hint[stage]}\nThe next pulumi up goes on from here; hostTimeout sets how long it waits.`;
}

function indent(text: string): string {
  return text
    .split("\n")
    .slice(-25)
    .map((line) => `  ${line}`)
    .join("\n");
}
