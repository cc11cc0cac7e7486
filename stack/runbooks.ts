import { readFileSync } from "node:fs";
import { join } from "node:path";

/** What of a package.json says where the project is published. */
interface Manifest {
  readonly repository?: string | { readonly url: string };
}

/**
 * URL of the folder with the pages about the alerts, on GitHub or GitLab; undefined where package.json names no
 * repository there (https://docs.npmjs.com/cli/configuring-npm/package-json#repository).
 */
export function runbooksUrl({ repository = "" }: Manifest = ownManifest()): string | undefined {
  const text = typeof repository === "string" ? repository : repository.url;
  const short = /^(?:(github|gitlab):)?([\w.-]+\/[\w.-]+)$/.exec(text);
  const url = short ? `https://${short[1] ?? "github"}.com/${short[2]}` : text;
  const [, host, path] =
    /^(?:git\+)?(?:https|ssh|git):\/\/(?:[^@/]*@)?(github\.com|gitlab\.[\w.-]+)\/([\w./-]+?)(?:\.git)?\/?$/.exec(
      url,
    ) ?? [];
  return path && `https://${host}/${path}/blob/HEAD/docs/runbooks`;
}

function ownManifest(): Manifest {
  return JSON.parse(readFileSync(join(__dirname, "..", "package.json"), "utf8")) as Manifest;
}
