import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";

import { trackerImage } from "../../../migrate/destination";
import { findCandidates, judge, type Candidate } from "../../../migrate/certificates";
import { openVolume } from "../../../migrate/volume";
import { planStack } from "../../../plan";
import type { StackEngine } from "../../../docker/stack";
import { minimal } from "../support/config";
import { daysFromNow, makeAuthority, makeIdentity, type Identity } from "../verify/support/certificates";

const authority = makeAuthority();
const other = makeAuthority("Other Root");
const now = new Date();
const domain = "api.torrust.org";
const origin = `live/${domain}`;

function candidate(identity: Identity, more: Partial<Candidate> = {}): Candidate {
  return { origin, chain: identity.cert + authority.cert, key: identity.key, ...more };
}
const issue = (changes: object = {}) =>
  makeIdentity({ name: domain, altNames: [domain], ...changes }, authority);
const verdict = (candidates: Candidate[], acme = "letsencrypt") =>
  judge([domain], candidates, { now, acme })[0]!;

describe("a certificate that is moved", () => {
  it("is the one that lasts longest", () => {
    const [short, long] = [
      candidate(issue({ notAfter: daysFromNow(20) })),
      candidate(issue(), { origin: "live/b" }),
    ];
    expect(verdict([short, long]).use).toMatchObject({ origin: "live/b", issuer: "Test Root" });
    expect(verdict([short]).use).toMatchObject({ origin });
  });

  it.each(["rsa", "ec"] as const)("may have a key of type %s", (keyType) => {
    const identity = makeIdentity({ name: domain, altNames: ["x.org", domain], keyType }, authority);
    expect(verdict([candidate(identity)]).use).toBeDefined();
  });

  const fresh = issue();
  it.each<[string, Candidate, RegExp]>([
    [
      "expired",
      candidate(issue({ notBefore: daysFromNow(-9), notAfter: daysFromNow(-1) })),
      /expired on \d{4}-/,
    ],
    ["is not valid yet", candidate(issue({ notBefore: daysFromNow(1) })), /is not valid before/],
    [
      "is for another name",
      candidate(issue({ altNames: ["www.torrust.org"] })),
      /is for www\.torrust\.org, not for/,
    ],
    ["is a wildcard's", candidate(issue({ altNames: ["*.torrust.org"] })), /wildcard \*\.torrust\.org/],
    ["has another's key", candidate(fresh, { key: issue().key }), /key that is not the certificate's/],
    ["has an encrypted key", candidate(fresh, { key: encryptedKey() }), /encrypted one must be decrypted/],
    ["has no key", candidate(fresh, { key: "" }), /cannot be read/],
    ["is self-signed", candidate(makeIdentity({ name: domain, altNames: [domain] })), /is self-signed/],
    ["is alone", candidate(fresh, { chain: fresh.cert }), /lacks its issuer's certificate/],
    [
      "has another's chain",
      candidate(fresh, { chain: fresh.cert + other.cert }),
      /lacks its issuer's certificate/,
    ],
    ["is no certificate", candidate(fresh, { chain: "nonsense" }), /holds no certificate/],
    ["has a key on another curve", candidate(issue({ keyType: "p521" })), /curve secp521r1/],
    ["is damaged", candidate(fresh, { chain: fresh.cert.replace(/\n.{20}/, "\n") }), /holds no certificate/],
  ])("is not one that %s", (_what, given, reason) => {
    const { use, reasons } = verdict([given]);
    expect(use).toBeUndefined();
    expect(reasons.join()).toMatch(reason);
    expect(reasons.join()).not.toContain("PRIVATE KEY");
  });

  it("is of the authority that is configured", () => {
    const staging = makeAuthority("(STAGING) Pretend Pear X1");
    const identity = makeIdentity({ name: domain, altNames: [domain] }, staging);
    const given = candidate(identity, { chain: identity.cert + staging.cert });
    expect(verdict([given]).reasons.join()).toMatch(/staging environment/);
    expect(verdict([given], "letsencrypt-staging").use).toBeDefined();
  });

  it("says nothing of certificates for other names", () => {
    const given = candidate(issue({ altNames: ["www.torrust.org"] }), { origin: "live/www.torrust.org" });
    expect(verdict([given])).toEqual({ domain, use: undefined, reasons: [] });
  });
});

describe("certificates", () => {
  const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-migrate-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };

  it("are found in certbot's folder and in Caddy's", () => {
    write("archive/a.org/fullchain1.pem", "chain of a");
    write("archive/a.org/privkey1.pem", "key of a");
    mkdirSync(join(folder, "live/a.org"), { recursive: true });
    for (const name of ["fullchain", "privkey"])
      symlinkSync(`../../archive/a.org/${name}1.pem`, join(folder, `live/a.org/${name}.pem`));
    write("live/README", "not a lineage");
    write("live/half.org/fullchain.pem", "chain without a key");
    const caddy = "data/caddy/certificates/acme-v02.api.letsencrypt.org-directory/b.org";
    write(`${caddy}/b.org.crt`, "chain of b");
    write(`${caddy}/b.org.key`, "key of b");
    const found = findCandidates(folder).sort((a, b) => a.chain.localeCompare(b.chain));
    expect(found).toEqual([
      { origin: "live/a.org", chain: "chain of a", key: "key of a" },
      { origin: caddy, chain: "chain of b", key: "key of b" },
    ]);
    expect(findCandidates(join(folder, "archive"))).toEqual([]);
  });
});

function encryptedKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const options = { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" } as const;
  return privateKey.export(options).toString();
}

describe("the volume before the first deployment", () => {
  it("is reached by an image that the stack is configured with", async () => {
    const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-migrate-"));
    try {
      const config = { ...minimal, images: { tracker: "registry.torrust.org/tracker:1" } };
      const file = join(folder, "Pulumi.here.yaml");
      writeFileSync(file, stringify({ config }));
      const planned = await planStack({ stack: "here", file });
      if ("problems" in planned) throw new Error(JSON.stringify(planned.problems));
      expect(trackerImage(planned.result)).toBe("registry.torrust.org/tracker:1");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("is not reached when no image can be had, which is said", async () => {
    const docker = {
      listContainers: () => Promise.resolve([]),
      getImage: () => ({ inspect: () => Promise.reject(Object.assign(new Error(), { statusCode: 404 })) }),
      pull: () => Promise.reject(new Error("no such host")),
    };
    const engine = { docker, prefix: "torrust-pingoo-here" } as unknown as StackEngine;
    await expect(openVolume(engine, "torrust-pingoo-here-tls", "pingoo:1")).rejects.toThrow(
      "To reach the volume torrust-pingoo-here-tls, the image pingoo:1 is needed, which cannot be pulled: no such host",
    );
  });
});
