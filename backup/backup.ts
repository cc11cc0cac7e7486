import { execIn, type StackEngine } from "../docker/stack";
import { CommandError, formatBytes, type Progress } from "../terminal/terminal";
import { backupContainer, backupScript } from "./snapshots";

/**
 * Makes a backup and waits for it.
 *
 * @throws {CommandError} with the reason why there is none
 */
export async function backUp(
  engine: StackEngine,
  progress: Progress,
  { newRepository = false }: { readonly newRepository?: boolean } = {},
): Promise<void> {
  const { Id } = await backupContainer(engine);
  if (newRepository) await execIn(engine.docker, Id, ["/bin/sh", backupScript, "new-repository"]);
  const step = progress.step(`backup of ${engine.prefix}`);
  step.update("copying databases");
  let last = "";
  const { code, stderr } = await execIn(
    engine.docker,
    Id,
    ["/bin/sh", backupScript, "now", "live"],
    (line) => {
      const status = statusOf(line);
      if (status) return step.update(status);
      if (!line.startsWith("{")) last = withoutTime(line);
    },
  );
  if (code === 0) return step.succeed(last);
  step.fail();
  throw new CommandError(last || stderr || `no backup: the script ended with exit code ${code}`);
}

/** What restic's progress says, for people; undefined for any other line. */
function statusOf(line: string): string | undefined {
  if (!line.startsWith('{"message_type":"status"')) return undefined;
  try {
    const { percent_done = 0, bytes_done = 0, total_bytes = 0 } = JSON.parse(line) as Record<string, number>;
    return `${Math.round(percent_done * 100)} % (${formatBytes(bytes_done)} of ${formatBytes(total_bytes)})`;
  } catch {
    return undefined;
  }
}

function withoutTime(line: string): string {
  return line.replace(/^\S+Z /, "");
}
