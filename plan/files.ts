import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, normalize, sep } from "node:path";

import type { ProgramResult, RegisteredResource } from "../program/monitor";
import { holdsSecret, reveal } from "../program/secrets";
import { CommandError } from "../terminal/terminal";
import { listOf, type Fields } from "./inputs";

/** A file that a container is given before it starts. */
export interface RenderedFile {
  /** The container's role, e.g. `tracker`. */
  readonly service: string;
  /** Absolute path in the container. */
  readonly path: string;
  /** Its text with secrets masked; Base64 where it is no text. */
  readonly text: string;
  readonly heldSecret: boolean;
}

/**
 * Every file that the containers are given, by service and path, and the user data of a machine of the stack's own. Pure,
 * but for uploads that name a file on disk.
 */
export function renderedFiles({ resources, masker }: ProgramResult): RenderedFile[] {
  const machines = resources.filter(({ type }) => type === "hcloud:index/server:Server");
  const containers = resources.filter(({ type }) => type === "docker:index/container:Container");
  const roles = containers.map((container) => roleOf(container) ?? container.name);
  const userData = machines.map(({ inputs }): RenderedFile => ({
    service: "host",
    path: "/user-data",
    text: masker.text(String(reveal(inputs.userData))).replace(privateKey, "[secret]"),
    heldSecret: true,
  }));
  const uploaded = containers.flatMap((container, index) => {
    const role = roles[index] ?? container.name;
    const service = roles.indexOf(role) === roles.lastIndexOf(role) ? role : container.name;
    const uploads = listOf(container.inputs.uploads);
    return uploads.map((upload): RenderedFile => {
      const content = uploadContent(upload);
      return {
        service,
        path: String(reveal(upload.file)),
        text: String(masker.value(content)),
        heldSecret: holdsSecret(content) || masker.text(String(reveal(content))) !== reveal(content),
      };
    });
  });
  return [...uploaded, ...userData].sort((a, b) => compare(a.service, b.service) || compare(a.path, b.path));
}

const privateKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*?-----END [A-Z ]*PRIVATE KEY-----/g;

/** Writes each file below a folder; one that held a secret is readable by its owner alone, although masked. */
export function writeFiles(folder: string, files: readonly RenderedFile[]): void {
  for (const { service, path, text, heldSecret } of files) {
    const target = join(folder, service, path);
    if (!target.startsWith(normalize(folder + sep)))
      throw new CommandError(`${service}:${path} leaves the folder ${folder}; it was not written.`);
    try {
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, text, { mode: heldSecret ? 0o600 : 0o644 });
      chmodSync(target, heldSecret ? 0o600 : 0o644);
    } catch (error) {
      throw new CommandError(
        `${target} cannot be written: ${error instanceof Error ? error.message : String(error)}. Choose another --out.`,
      );
    }
  }
}

function uploadContent(upload: Fields): unknown {
  if (upload.content !== undefined) return upload.content;
  if (upload.contentBase64 !== undefined) {
    const encoded = String(reveal(upload.contentBase64));
    const bytes = Buffer.from(encoded, "base64");
    return bytes.includes(0) ? encoded : bytes.toString("utf8");
  }
  return upload.source === undefined ? "" : readFileSync(String(reveal(upload.source)), "utf8");
}

function roleOf({ inputs }: RegisteredResource): string | undefined {
  const labels = listOf(inputs.labels);
  const role = reveal(labels.find(({ label }) => reveal(label) === "torrust-pingoo.role")?.value);
  return typeof role === "string" ? role : undefined;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
