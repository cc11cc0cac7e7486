import { execFileSync } from "node:child_process";
import { parse as parseToml } from "smol-toml";
import { beforeAll, describe, expect, it } from "vitest";
import { parse as parseYaml } from "yaml";

import { parseSettings } from "../../../settings";
import { minimal, project, rawConfig } from "../support/config";
import { deploy, type Deployed, type UploadedFile } from "../support/deploy";

/** What breaks out of a quoted string, a line, a block or a command, somewhere. */
const fragments = [
  "\n",
  "\r\n",
  "\0",
  '"',
  "'",
  "\\",
  "`id`",
  "$(id)",
  "${HOME}",
  "{{ x }}",
  "; }",
  "}",
  "#",
  "!!js/function",
  "*a",
  "&a",
  ": ",
  "%0a",
  "]]>",
  "*/",
];

const base = {
  ...minimal,
  grafana: true,
  grafanaDomain: "grafana.torrust.org",
  hybrid: true,
  database: "mysql",
  acme: "https://ca.torrust.org/dir",
  acmeEmail: "admin@torrust.org",
  acmeCaCertificate: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
  adminToken: "0123456789abcdefghijklmn",
  grafanaAdminPassword: "0123456789abcdefghijklmn",
  images: { tracker: "torrust/tracker:3.0.0" },
};

/** Every text that a person can write, with a fragment in its middle. */
const places: Readonly<Record<string, (fragment: string) => Record<string, unknown>>> = {
  apiDomain: (x) => ({ apiDomain: `api${x}.torrust.org` }),
  httpTrackers: (x) => ({ httpTrackers: [{ domain: `tracker${x}.torrust.org` }] }),
  udpTrackers: (x) => ({ udpTrackers: [{ port: 6969, domain: `udp${x}.torrust.org` }] }),
  grafanaDomain: (x) => ({ grafanaDomain: `grafana${x}.torrust.org` }),
  acme: (x) => ({ acme: `https://ca.torrust.org/d${x}ir` }),
  acmeEmail: (x) => ({ acmeEmail: `ad${x}min@torrust.org` }),
  acmeCaCertificate: (x) => ({
    acmeCaCertificate: `-----BEGIN CERTIFICATE-----\nAA${x}AA\n-----END CERTIFICATE-----\n`,
  }),
  adminToken: (x) => ({ adminToken: `0123456789${x}abcdefghijklmn` }),
  grafanaAdminPassword: (x) => ({ grafanaAdminPassword: `0123456789${x}abcdefghijklmn` }),
  prometheusRetention: (x) => ({ prometheusRetention: `15${x}d` }),
  subnet: (x) => ({ subnet: `10.230.${x}7.0/24` }),
  publishAddresses: (x) => ({ publishAddresses: [`127.0.0.1${x}`] }),
  images: (x) => ({ images: { tracker: `torrust/tracker:3${x}.0.0` } }),
};

const files = (deployed: Deployed) =>
  deployed.resources
    .filter(({ type }) => type === "docker:index/container:Container")
    .flatMap(({ inputs }) => deployed.container(inputs.hostname).uploads as UploadedFile[]);

/** Names and kinds of a document's parts, without its values. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf);
  if (typeof value !== "object" || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, shapeOf(part)]));
}

/** What a file says to whoever reads it; for shell and nginx what a reader sees of its structure. */
function structureOf({ file, content }: UploadedFile): unknown {
  if (/\.ya?ml$/.test(file)) return shapeOf(parseYaml(content));
  if (file.endsWith(".toml")) return shapeOf(parseToml(content));
  if (file.endsWith(".json")) return shapeOf(JSON.parse(content));
  if (content.startsWith("#!/bin/sh")) {
    execFileSync("sh", ["-n"], { input: content });
    // Outside of single quotes nothing may differ; an apostrophe in a comment is none.
    return content.replaceAll(/^ *#.*$/gm, "").replaceAll(/('[^']*'(\\')?)+/g, "''");
  }
  return file;
}

describe("a hostile value", () => {
  let good: unknown[];
  beforeAll(async () => void (good = files(await deploy(base)).map(structureOf)));

  it.each(fragments)("with %j in it is refused, or stays in its place", async (fragment) => {
    const accepted: Record<string, unknown>[] = [];
    for (const [place, valueWith] of Object.entries(places)) {
      const value = valueWith(fragment);
      const result = parseSettings(rawConfig({ ...base, ...value }), project, "dev");
      if ("problems" in result)
        expect(new Set(result.problems.map(({ path }) => path.replace(/[[.].*/, "")))).toEqual(
          new Set([place]),
        );
      else accepted.push(value);
    }
    const deployed = await deploy(Object.assign({}, base, ...accepted) as Record<string, unknown>);
    expect(files(deployed).map(structureOf)).toEqual(good);
  });
});
