import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** A certificate with its key as another program keeps them. */
export interface Candidate {
  /** Where it was found, for people. */
  readonly origin: string;
  /** Leaf first, PEM. */
  readonly chain: string;
  /** PEM. */
  readonly key: string;
}

/** What is to be done for a domain. */
export interface Verdict {
  readonly domain: string;
  /** Absent: nothing can be used, and `reasons` say why. */
  readonly use?: Usable;
  /** Why candidates were refused; empty where there was none. */
  readonly reasons: readonly string[];
}

export interface Usable extends Candidate {
  readonly serial: string;
  readonly issuer: string;
  readonly expires: Date;
}

export interface JudgeOptions {
  readonly now: Date;
  /** The configured authority: `letsencrypt`, `letsencrypt-staging`, `none` or a directory's URL. */
  readonly acme: string;
}

const day = 86_400_000;
/** Pingoo orders a new certificate when less than this is left. */
export const renewalDays = 30;

/**
 * Certificates below a folder: certbot's lineages (`live/<name>/fullchain.pem`, `privkey.pem`) and Caddy's storage
 * (`<authority>/<domain>/<domain>.crt`, `.key`), newest file first.
 */
export function findCandidates(folder: string): Candidate[] {
  const found: { candidate: Candidate; modified: number }[] = [];
  const add = (origin: string, chainFile: string, keyFile: string) => {
    if (!existsSync(chainFile) || !existsSync(keyFile)) return;
    found.push({
      candidate: { origin, chain: readFileSync(chainFile, "utf8"), key: readFileSync(keyFile, "utf8") },
      modified: statSync(chainFile).mtimeMs,
    });
  };
  for (const name of foldersIn(join(folder, "live"))) {
    const lineage = join(folder, "live", name);
    add(`live/${name}`, join(lineage, "fullchain.pem"), join(lineage, "privkey.pem"));
  }
  for (const start of ["", "certificates", "caddy/certificates", "data/caddy/certificates"])
    for (const authority of foldersIn(join(folder, start)))
      for (const domain of foldersIn(join(folder, start, authority))) {
        const file = join(folder, start, authority, domain, domain);
        add(join(start, authority, domain), `${file}.crt`, `${file}.key`);
      }
  return found.sort((a, b) => b.modified - a.modified).map(({ candidate }) => candidate);
}

function foldersIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.isDirectory())
    .sort();
}

/** For each domain the certificate that lasts longest of those that Pingoo can serve for it. Pure. */
export function judge(
  domains: readonly string[],
  candidates: readonly Candidate[],
  options: JudgeOptions,
): Verdict[] {
  return domains.map((domain) => {
    const usable: Usable[] = [];
    const reasons: string[] = [];
    for (const candidate of candidates) {
      const result = examine(domain, candidate, options);
      if (result === undefined) continue;
      if (typeof result === "string") reasons.push(`${candidate.origin} ${result}`);
      else usable.push(result);
    }
    const [use] = usable.sort((a, b) => b.expires.getTime() - a.expires.getTime());
    return { domain, use, reasons: use ? [] : reasons };
  });
}

/** A candidate that can be used, the reason why it cannot, or undefined where it has nothing to do with the domain. */
function examine(
  domain: string,
  { origin, chain, key }: Candidate,
  { now, acme }: JudgeOptions,
): Usable | string | undefined {
  const certificates = readChain(chain);
  const [leaf, issuer] = certificates ?? [];
  if (!leaf) return origin.split("/").includes(domain) ? "holds no certificate that can be read" : undefined;
  const names = (leaf.subjectAltName ?? "").split(", ").map((name) => name.replace(/^DNS:/, ""));
  const named = names.includes(domain);
  const wildcard = names.find(
    (name) => name.startsWith("*.") && name.slice(2) === domain.split(".").slice(1).join("."),
  );
  if (!named && !wildcard)
    return origin.split("/").includes(domain) ? `is for ${names.join(", ")}, not for ${domain}` : undefined;
  if (!named)
    return `is for the wildcard ${wildcard}: Pingoo would order one for the name itself all the same`;
  const expires = new Date(leaf.validTo);
  if (expires <= now) return `expired on ${date(expires)}`;
  if (new Date(leaf.validFrom) > now) return `is not valid before ${date(new Date(leaf.validFrom))}`;
  const privateKey = readKey(key);
  if (!privateKey) return "has a key that cannot be read; an encrypted one must be decrypted first";
  if (!leaf.checkPrivateKey(privateKey)) return "has a key that is not the certificate's";
  const unsupported = keyProblem(privateKey);
  if (unsupported) return unsupported;
  if (leaf.checkIssued(leaf)) return "is self-signed";
  if (!issuer || !leaf.checkIssued(issuer) || !leaf.verify(issuer.publicKey))
    return "lacks its issuer's certificate, without which clients cannot check it: fullchain.pem is needed";
  const organisation = /^O=(.*)$/m.exec(leaf.issuer)?.[1] ?? /^CN=(.*)$/m.exec(leaf.issuer)?.[1] ?? "unknown";
  if (acme === "letsencrypt" && /\(STAGING\)|Fake LE/i.test(leaf.issuer))
    return "was issued by Let's Encrypt's staging environment, which no client trusts";
  return { origin, chain, key, serial: leaf.serialNumber, issuer: organisation, expires };
}

function readChain(text: string): X509Certificate[] | undefined {
  try {
    const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    return undefined;
  }
}

function readKey(text: string): KeyObject | undefined {
  try {
    return createPrivateKey(text);
  } catch {
    return undefined;
  }
}

/** Why Pingoo's TLS library, or a client of it, would not take a key. */
function keyProblem(key: KeyObject): string | undefined {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "rsa":
      return (modulusLength ?? 0) >= 2048 && (modulusLength ?? 0) <= 8192
        ? undefined
        : `has an RSA key of ${modulusLength} bits; Pingoo takes 2048 to 8192`;
    case "ec":
      return namedCurve === "prime256v1" || namedCurve === "secp384r1"
        ? undefined
        : `has a key on the curve ${namedCurve}; Pingoo and its clients have P-256 and P-384 in common`;
    default:
      return `has a key of type ${key.asymmetricKeyType}; use RSA, or ECDSA on P-256 or P-384`;
  }
}

/** Days that are left of a certificate, rounded down. */
export function daysLeft(expires: Date, now: Date): number {
  return Math.floor((expires.getTime() - now.getTime()) / day);
}

/** What is in Pingoo's folder for a domain already. */
export function describeChain(
  chain: string,
): { serial: string; expires: Date; selfSigned: boolean } | undefined {
  const [leaf] = readChain(chain) ?? [];
  return (
    leaf && { serial: leaf.serialNumber, expires: new Date(leaf.validTo), selfSigned: leaf.checkIssued(leaf) }
  );
}

function date(time: Date): string {
  return time.toISOString().slice(0, 10);
}
