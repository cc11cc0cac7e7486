import { createHash } from "node:crypto";
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

/** Keeps what is slow to make, outside the checkout: tracker binaries, the base image, compiled stand-ins. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const { TORRUST_PINGOO_CACHE, XDG_CACHE_HOME } = environment;
  return TORRUST_PINGOO_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "torrust-pingoo");
}

/**
 * The folder `<name>-<key>` in the cache, made first if it is not there; those with other keys go then. What fails
 * leaves nothing behind.
 */
export async function cached(
  name: string,
  key: string,
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const cache = cacheFolder();
  const folder = join(cache, `${name}-${key}`);
  if (await exists(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const unfinished = await mkdtemp(`${folder}.`);
  try {
    await make(unfinished);
    await rename(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  const superseded = (await readdir(cache)).filter(
    (entry) => entry.startsWith(`${name}-`) && /^[0-9a-f]{16}$/.test(entry.slice(name.length + 1)),
  );
  for (const entry of superseded) {
    if (entry !== `${name}-${key}`) await rm(join(cache, entry), { recursive: true });
  }
  return folder;
}

/** Runs `action` while no other process of this machine runs one under the same name. */
export async function withLock<T>(name: string, action: () => Promise<T>): Promise<T> {
  await mkdir(cacheFolder(), { recursive: true });
  const path = join(cacheFolder(), `${name}.lock`);
  for (;;) {
    try {
      const file = await open(path, "wx");
      await file.writeFile(String(process.pid));
      await file.close();
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      if (await abandoned(path)) await rm(path, { force: true });
      else await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
  try {
    return await action();
  } finally {
    await rm(path, { force: true });
  }
}

/** Whether the process that made a lock is gone. */
async function abandoned(lock: string): Promise<boolean> {
  const pid = Number(await readFile(lock, "utf8").catch(() => ""));
  // Empty for a moment between its creation and the first write.
  if (!pid) return Date.now() - (await stat(lock).catch(() => ({ mtimeMs: Date.now() }))).mtimeMs > 5000;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

export function hash(...parts: readonly (string | Buffer)[]): string {
  const digest = createHash("sha256");
  for (const part of parts) digest.update(part).update("\0");
  return digest.digest("hex").slice(0, 16);
}

/** Hash of the names and contents of a folder's files. */
export async function hashFolder(folder: string, counts = (_name: string) => true): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && counts(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const contents = await Promise.all(files.map((file) => readFile(file)));
  return hash(...files.flatMap((file, i) => [file.slice(folder.length), contents[i] ?? ""]));
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
