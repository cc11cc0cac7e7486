/** A regular file of an archive. */
export interface TarEntry {
  /** Path; a leading slash is dropped. */
  readonly path: string;
  readonly content: Buffer;
  /** Permission bits, e.g. 0o644. */
  readonly mode: number;
}

const block = 512;

/**
 * A POSIX ustar archive of regular files, owned by root. Paths of up to 255 bytes fit, if they can be split at a
 * slash into at most 155 and 100.
 *
 * @throws {RangeError} for a longer path, or for a file of 8 GiB and more
 */
export function tar(entries: readonly TarEntry[], now: Date = new Date()): Buffer {
  const parts = entries.flatMap((entry) => [
    header(entry, now),
    entry.content,
    Buffer.alloc((block - (entry.content.length % block)) % block),
  ]);
  return Buffer.concat([...parts, Buffer.alloc(2 * block)]);
}

function header({ path, content, mode }: TarEntry, now: Date): Buffer {
  const { prefix, name } = splitPath(path.replace(/^\/+/, ""));
  if (content.length >= 8 ** 11) throw new RangeError(`${path} is too large for an archive`);
  const bytes = Buffer.alloc(block);
  bytes.write(name, 0);
  octal(bytes, mode & 0o7777, 100, 8);
  octal(bytes, 0, 108, 8);
  octal(bytes, 0, 116, 8);
  octal(bytes, content.length, 124, 12);
  octal(bytes, Math.floor(now.getTime() / 1000), 136, 12);
  bytes.write("        ", 148);
  bytes.write("0", 156);
  bytes.write("ustar\u000000", 257, "latin1");
  bytes.write(prefix, 345);
  octal(
    bytes,
    bytes.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return bytes;
}

function octal(bytes: Buffer, value: number, offset: number, length: number): void {
  bytes.write(value.toString(8).padStart(length - 1, "0") + "\u0000", offset, "latin1");
}

function splitPath(path: string): { prefix: string; name: string } {
  const size = (text: string) => Buffer.byteLength(text);
  if (size(path) <= 100) return { prefix: "", name: path };
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) {
    const prefix = path.slice(0, at);
    const name = path.slice(at + 1);
    if (size(prefix) <= 155 && size(name) <= 100 && name !== "") return { prefix, name };
  }
  throw new RangeError(`${path} is too long a path for an archive`);
}
