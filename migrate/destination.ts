import type { ProgramResult } from "../program/monitor";
import { reveal } from "../program/secrets";

/** What a migration has to know of the stack that it goes to. */
export interface Destination {
  /** Public host names, each of which needs a certificate. */
  readonly domains: readonly string[];
  /** The configured authority; see the configuration key. */
  readonly acme: string;
  /** The tracker's image. */
  readonly image: string;
}

export function destinationOf(planned: ProgramResult): Destination {
  const { urls, acme } = reveal(planned.outputs) as {
    readonly urls: { readonly api?: string; readonly trackers: readonly string[]; readonly grafana?: string };
    readonly acme: string;
  };
  const domains = [urls.api, ...urls.trackers, urls.grafana].flatMap((url) =>
    url ? [new URL(url).hostname] : [],
  );
  return { domains, acme, image: trackerImage(planned) };
}

/** The tracker's image, which every stack has: its engine has it, or can pull it as it does for a deployment. */
export function trackerImage({ resources }: ProgramResult): string {
  const image = resources.find(
    ({ type, name }) => type === "docker:index/remoteImage:RemoteImage" && name === "torrust-tracker-image",
  );
  if (!image) throw new Error("the program declares no image for the tracker");
  return String(reveal(image.inputs.name));
}
