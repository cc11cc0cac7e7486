import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A socket here that leads to an engine elsewhere. */
export interface Forwarded {
  readonly socketPath: string;
  /** What ssh said last, which tells why there is no connection. */
  readonly said: () => string | undefined;
  close(): void;
}

/**
 * Forwards a socket to the engine of `ssh://user@host:port` as the docker command does, by OpenSSH's client: the user's
 * own settings, agent and known hosts hold, and nobody is asked anything. It does not keep the process alive.
 */
export async function forwardBySsh(url: URL, environment: NodeJS.ProcessEnv): Promise<Forwarded> {
  const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-ssh-"));
  const socketPath = join(folder, "docker.sock");
  const args = [
    ...["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=15"],
    ...(url.username ? ["-l", decodeURIComponent(url.username)] : []),
    ...(url.port ? ["-p", url.port] : []),
    ...["--", url.hostname.replace(/^\[|\]$/g, ""), "docker", "system", "dial-stdio"],
  ];
  let said: string | undefined;
  const server = createServer((socket) => {
    const ssh = spawn("ssh", args, { env: environment, stdio: ["pipe", "pipe", "pipe"] });
    const end = () => {
      ssh.kill();
      socket.destroy();
    };
    ssh.on("error", ({ message }) => {
      said = `ssh cannot be run: ${message}`;
      end();
    });
    ssh.stderr.on("data", (data: Buffer) => (said = data.toString().trim().split("\n").pop() || said));
    for (const stream of [ssh.stdin, ssh.stdout, socket]) stream.on("error", end);
    // Not before its errors have been read, which tell why it ended.
    ssh.on("close", () => socket.destroy());
    socket.on("close", end);
    socket.pipe(ssh.stdin);
    ssh.stdout.pipe(socket);
  });
  await new Promise<void>((resolve, reject) => server.on("error", reject).listen(socketPath, resolve));
  server.unref();
  const close = () => {
    process.off("exit", close);
    server.close();
    rmSync(folder, { recursive: true, force: true });
  };
  process.on("exit", close);
  return { socketPath, said: () => said, close };
}
