/** How to log in at a host whose key is known beforehand. */
export interface SshTarget {
  /** Name or address. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** `ssh-ed25519 AAAA…`: the only key that is accepted. */
  readonly hostKey: string;
  /** Private key file; absent: the agent's keys and ssh's own choice. */
  readonly keyFile?: string;
}

/**
 * Options of OpenSSH's client (8.5 or later) that accept this host key and no other, ask nothing and leave no trace in the
 * user's own files. The pin is one of the options, so that it needs no file that could be missing on another machine.
 */
export function sshOptions({ hostKey, keyFile }: Pick<SshTarget, "hostKey" | "keyFile">): string[] {
  const options = {
    BatchMode: "yes",
    ConnectTimeout: "10",
    ServerAliveInterval: "15",
    StrictHostKeyChecking: "yes",
    UserKnownHostsFile: "/dev/null",
    GlobalKnownHostsFile: "/dev/null",
    KnownHostsCommand: `/bin/echo %H ${hostKey}`,
    ...(keyFile && { IdentitiesOnly: "yes", IdentityFile: keyFile }),
  };
  return Object.entries(options).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
}

/** Everything that `ssh` is called with before the command. */
export function sshArguments(target: SshTarget): string[] {
  return [...sshOptions(target), "-p", String(target.port), "-l", target.user, target.host];
}

/** The same as a line for a terminal. */
export function sshCommandLine(target: SshTarget): string {
  return ["ssh", ...sshArguments(target)]
    .map((word) => (/^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word}'`))
    .join(" ");
}
