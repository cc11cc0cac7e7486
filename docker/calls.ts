import type Docker from "dockerode";

/** Label of everything that the in-process engine makes; its value is the stack's name. */
export const ownerLabel = "torrust-pingoo.in-process";
/** Label with the seconds that a container has to stop. */
export const graceLabel = "torrust-pingoo.grace";

/** A container that the in-process engine made. */
export interface OwnedContainer {
  readonly id: string;
  readonly name: string;
  /** Seconds that it has to stop. */
  readonly grace: number;
  /** Names of the networks that it is in. */
  readonly networks: readonly string[];
  /** Host ports that it holds while it runs: `address:port/protocol`. */
  readonly ports: readonly string[];
}

/** A stack's containers, running or not. */
export async function ownedContainers(docker: Docker, stack: string): Promise<OwnedContainer[]> {
  const found = await docker.listContainers({ all: true, filters: { label: [`${ownerLabel}=${stack}`] } });
  return found.map(({ Id, Names, Labels, NetworkSettings, Ports }) => ({
    id: Id,
    name: (Names[0] ?? Id).replace(/^\//, ""),
    grace: graceOf(Labels),
    networks: Object.keys(NetworkSettings?.Networks ?? {}),
    ports: (Ports ?? []).flatMap(({ IP, PublicPort, Type }) =>
      PublicPort ? [`${IP}:${PublicPort}/${Type}`] : [],
    ),
  }));
}

/** A stack's networks. */
export async function ownedNetworks(docker: Docker, stack: string): Promise<{ id: string; name: string }[]> {
  const found = await docker.listNetworks({ filters: { label: [`${ownerLabel}=${stack}`] } });
  return found.map(({ Id, Name }) => ({ id: Id, name: Name }));
}

/** Seconds that a container has to stop, from its labels; 10, as Docker has it, where they do not say. */
export function graceOf(labels: Record<string, string> | undefined): number {
  return Number(labels?.[graceLabel] ?? 10) || 0;
}

/**
 * Stops a container and removes it; one that is gone already is no error.
 *
 * @param grace   seconds until it is killed
 * @param volumes whether its anonymous volumes go too
 */
export async function stopAndRemove(
  docker: Docker,
  id: string,
  grace: number,
  volumes: boolean,
): Promise<void> {
  const container = docker.getContainer(id);
  await ignoring(404, ignoring(304, container.stop({ t: grace })));
  await ignoring(409, ignoring(404, container.remove({ force: true, v: volumes })));
}

/**
 * The last lines that a container printed, each stream in its order.
 *
 * @param tail how many lines; all when absent
 * @throws {Error} when its log driver keeps none
 */
export async function containerLogs(docker: Docker, id: string, tail?: number): Promise<string[]> {
  const container = docker.getContainer(id);
  const { Config } = await container.inspect();
  const raw = await container.logs({ stdout: true, stderr: true, follow: false, ...(tail ? { tail } : {}) });
  const text = Config.Tty ? raw.toString("utf8") : demultiplex(raw).toString("utf8");
  return text
    .replace(/\r/g, "")
    .split("\n")
    .filter((line) => line.trim() !== "");
}

/** The payloads of the engine's frames: a stream number, three zeros, the length in four bytes, then the text. */
function demultiplex(raw: Buffer): Buffer {
  const payloads: Buffer[] = [];
  for (let at = 0; at + 8 <= raw.length;) {
    const length = raw.readUInt32BE(at + 4);
    payloads.push(raw.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return Buffer.concat(payloads);
}

/**
 * Pulls an image.
 *
 * @param options.progress told the bytes received and, as far as known, the bytes in all
 * @throws {Error} the registry's or engine's words
 */
export async function pullImage(
  docker: Docker,
  reference: string,
  options: { readonly platform?: string; readonly progress?: (received: number, total: number) => void } = {},
): Promise<void> {
  const stream = await docker.pull(reference, options.platform ? { platform: options.platform } : {});
  const layers = new Map<string, { current: number; total: number }>();
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(
      stream,
      (error: Error | null) => (error ? reject(error) : resolve()),
      (event: { id?: string; status?: string; progressDetail?: { current?: number; total?: number } }) => {
        if (!event.id || event.status !== "Downloading") return;
        layers.set(event.id, {
          current: event.progressDetail?.current ?? 0,
          total: event.progressDetail?.total ?? 0,
        });
        const all = [...layers.values()];
        options.progress?.(
          all.reduce((sum, { current }) => sum + current, 0),
          all.reduce((sum, { total }) => sum + total, 0),
        );
      },
    );
  });
}

/** What an image is built from. */
export interface ImageBuild {
  /** Folder that is sent to the engine. */
  readonly context: string;
  /** File below it. @default Dockerfile */
  readonly dockerfile?: string;
  /** The name that the image gets. */
  readonly reference: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly buildArgs?: Readonly<Record<string, string>>;
  /** Network of the build's own commands. @default the engine's */
  readonly network?: string;
}

/** Builds an image. @throws {Error} with the last lines of what was printed */
export async function buildImage(docker: Docker, build: ImageBuild): Promise<void> {
  const progress = await docker.buildImage(
    { context: build.context, src: ["."] },
    {
      t: build.reference,
      dockerfile: build.dockerfile,
      labels: build.labels,
      buildargs: build.buildArgs,
      networkmode: build.network,
      forcerm: true,
    },
  );
  await untilDone(docker, progress, build.reference);
}

/** Reads the progress of a build or an import to its end. @throws {Error} with its last lines */
export async function untilDone(docker: Docker, progress: NodeJS.ReadableStream, reference: string) {
  const events = await new Promise<{ stream?: string; error?: string }[]>((resolve, reject) => {
    docker.modem.followProgress(
      progress,
      (error: Error | null, all: { stream?: string; error?: string }[]) =>
        error ? reject(error) : resolve(all),
    );
  });
  const failed = events.find(({ error }) => error !== undefined);
  if (!failed) return;
  const output = events.map(({ stream }) => stream ?? "").join("");
  throw new Error(`${reference} cannot be built: ${failed.error}\n${lastLines(output)}`);
}

/** What is worth showing of a long output. */
export const lastLines = (text: string) => text.trimEnd().split("\n").slice(-40).join("\n");

/** Removes the images that a stack's builds left, but for some. Those that a container still uses stay. */
export async function removeBuiltImages(docker: Docker, stack: string, keep: readonly string[] = []) {
  const built = await docker.listImages({ filters: { label: [`${ownerLabel}=${stack}`] } });
  for (const { RepoTags } of built)
    for (const tag of RepoTags ?? [])
      if (!keep.includes(tag)) await ignoring(409, ignoring(404, docker.getImage(tag).remove()));
}

/** The engine's answer; undefined when that is an HTTP status which means that there is nothing. */
export async function absentWhen<T>(status: number, result: Promise<T>): Promise<T | undefined> {
  try {
    return await result;
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === status) return undefined;
    throw error;
  }
}

/** Waits for a call of the engine, one HTTP status being as good as success. */
export async function ignoring(status: number, result: Promise<unknown>): Promise<void> {
  await absentWhen(status, result);
}
