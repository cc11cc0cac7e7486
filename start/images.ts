import type Docker from "dockerode";

import { defaultImages, imageKeys, type ImageKey, type Images } from "../stack/images";
import { installPackages } from "../docker/install";
import { absentWhen, pullImage } from "../docker/calls";
import { CommandError, formatBytes, type Progress } from "../terminal/terminal";

/** Which images a run uses: the published ones, stand-ins built here, or whichever can be had. */
export const imageSources = ["auto", "published", "local"] as const;
export type ImageSource = (typeof imageSources)[number];

export interface ChosenImages {
  /** Images that replace the configured ones for this run; empty when those are used. */
  readonly overrides: Partial<Images>;
  /** For people: which ones run. */
  readonly said: string;
}

/**
 * The images that a stack's services need, by key of the configuration `images`.
 *
 * @param references names of the images that the program declares
 * @param configured the stack's own `images`
 */
export function neededImages(
  references: readonly string[],
  configured: Readonly<Record<string, string>>,
): { readonly key: ImageKey; readonly reference: string }[] {
  return imageKeys
    .map((key) => ({ key, reference: configured[key] ?? defaultImages[key] }))
    .filter(({ reference }) => references.includes(reference));
}

/** Whether a failed pull means that no registry can be reached, and not that it has no such image. */
export function isUnreachable(message: string): boolean {
  return /no such host|dial tcp|i\/o timeout|TLS handshake timeout|connection (refused|reset)|network is unreachable|no route to host|proxyconnect|Client\.Timeout|context deadline exceeded|server misbehaving|temporary failure in name resolution|unexpected EOF/i.test(
    message,
  );
}

/**
 * Sees to it that every image is on the engine: pulls what is missing, or builds stand-ins where no registry answers.
 *
 * @throws {CommandError} when an image can be had neither way
 */
export async function chooseImages(options: {
  readonly docker: Docker;
  readonly needed: readonly { readonly key: ImageKey; readonly reference: string }[];
  readonly source: ImageSource;
  readonly progress: Progress;
}): Promise<ChosenImages> {
  const { docker, needed, source, progress } = options;
  if (source === "local") return buildStandIns(needed, progress, "as --images local asks");
  const missing: { key: ImageKey; reference: string }[] = [];
  for (const image of needed) if (!(await isPresent(docker, image.reference))) missing.push(image);
  const unreachable = await pullAll(docker, missing, progress);
  if (!unreachable) return { overrides: {}, said: "the configured images" };
  if (source === "published")
    throw new CommandError(
      `No registry answers: ${unreachable}\nConnect to one, or run with --images auto to build stand-ins here.`,
    );
  return buildStandIns(missing, progress, `because no registry answers`);
}

/** @returns why no registry can be reached; undefined when all is there now */
async function pullAll(
  docker: Docker,
  missing: readonly { readonly key: ImageKey; readonly reference: string }[],
  progress: Progress,
): Promise<string | undefined> {
  const [first, ...others] = missing;
  if (!first) return undefined;
  // One alone first: where no registry answers, the others need not try.
  const problem = await pull(docker, first.reference, progress);
  if (problem) return problem;
  const problems = await Promise.all(others.map(({ reference }) => pull(docker, reference, progress)));
  return problems.find((said) => said !== undefined);
}

async function pull(docker: Docker, reference: string, progress: Progress): Promise<string | undefined> {
  const step = progress.step(`image ${reference}`);
  step.update("pulling");
  try {
    await pullImage(docker, reference, {
      progress: (received, total) =>
        step.update(`pulling, ${formatBytes(received)} of ${formatBytes(total)}`),
    });
    step.succeed("pulled");
    return undefined;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (isUnreachable(message)) {
      step.skip("no registry answers");
      return message.replace(/^\(HTTP code \d+\) [^-]*- /, "").trim();
    }
    step.fail();
    throw new CommandError(
      `The image ${reference} cannot be pulled: ${message}\nName another by the configuration key images.`,
    );
  }
}

async function buildStandIns(
  images: readonly { readonly key: ImageKey }[],
  progress: Progress,
  why: string,
): Promise<ChosenImages> {
  const keys = images.map(({ key }) => key);
  progress.line(
    `  Using images built here from packages and sources, ${why}. Building them takes minutes the first time.`,
  );
  const { aptPackages, buildImages } = await import("../test/images/build");
  await installPackages(aptPackages, progress);
  const step = progress.step("images");
  try {
    const references: Readonly<Record<string, string>> = await buildImages({
      only: keys,
      log: (line) => {
        step.update(line);
        progress.line(`    ${line}`);
      },
    });
    step.succeed("built, or built before");
    const overrides = Object.fromEntries(keys.map((key) => [key, references[key]])) as Partial<Images>;
    return {
      overrides,
      said: `${keys.length} images built here: the real programs, but stand-ins for Pingoo and Grafana (test/images)`,
    };
  } catch (error) {
    step.fail();
    throw new CommandError(
      `The images cannot be built here: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

async function isPresent(docker: Docker, reference: string): Promise<boolean> {
  return (await absentWhen(404, docker.getImage(reference).inspect())) !== undefined;
}
