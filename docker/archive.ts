import { spawn } from "node:child_process";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { extract, pack } from "tar-stream";

import { CommandError } from "../terminal/terminal";

/** A regular file of an archive. */
export interface TarEntry {
  /** Path; a leading slash is dropped. */
  readonly path: string;
  readonly content: Buffer;
  /** Permission bits, e.g. 0o644. */
  readonly mode: number;
}

/** A tar archive of regular files, owned by root. */
export function tar(entries: readonly TarEntry[]): NodeJS.ReadableStream {
  const archive = pack();
  for (const { path, content, mode } of entries)
    archive.entry({ name: path.replace(/^\/+/, ""), mode: mode & 0o7777 }, content);
  archive.finalize();
  return Readable.from(archive);
}

/** Content of the first file of an archive; undefined when it has none. */
export async function firstFile(archive: NodeJS.ReadableStream): Promise<Buffer | undefined> {
  let found: Buffer | undefined;
  for await (const entry of archive.pipe(extract()))
    if (!found && entry.header.type === "file") found = await buffer(entry);
    else entry.resume();
  return found;
}

/**
 * Unpacks an archive with the machine's tar, links included, as files of this user.
 *
 * @throws {CommandError} when tar fails, whose own words are on stderr
 */
export async function unpack(archive: NodeJS.ReadableStream, into: string): Promise<void> {
  const child = spawn("tar", ["-x", "-f", "-", "--no-same-owner", "-C", into], {
    stdio: ["pipe", "inherit", "inherit"],
  });
  archive.pipe(child.stdin);
  const code = await new Promise<number | null>((resolve, reject) =>
    child.on("error", reject).on("close", resolve),
  );
  if (code !== 0) throw new CommandError(`tar ended with exit code ${code}.`);
}
