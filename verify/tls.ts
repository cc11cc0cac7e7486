import { X509Certificate, randomBytes } from "node:crypto";
import { checkServerIdentity, type TLSSocket } from "node:tls";

import { checkId, fail, knownLimit, pass, type Check, type Context, type Outcome } from "./check";
import {
  alertName,
  buildClientHello,
  groupName,
  readServerAnswer,
  tlsVersions,
  x25519MlKem768,
  x25519MlKem768ServerShare,
  type ServerAnswer,
  type TlsVersion,
} from "./client-hello";
import { exchange, hostPort, networkError, openTls, type Endpoint } from "./net";
import { count, list, printable } from "./text";
import { webTargets, type Issuer, type WebTarget } from "./targets";

const timeout = 8000;

/** Where what is known of Pingoo and not tracked upstream is written down. */
export const limitsPage = "docs/verify.md#known-limits";

/** Id of the check that everything at an HTTPS endpoint depends on. */
export function handshakeId({ host, port }: Endpoint): string {
  return checkId({ kind: "tls.handshake", target: hostPort(host, port) });
}

/** TLS at each HTTPS endpoint. */
export function tlsChecks(context: Context): Check[] {
  return webTargets(context.targets).flatMap((target) => endpointChecks(target, context));
}

function endpointChecks(target: WebTarget, context: Context): Check[] {
  const common = {
    target: hostPort(target.host, target.port),
    topic: "TLS" as const,
    experiment: 1 as const,
  };
  const needs = [handshakeId(target)];
  const { issuer } = context.targets;
  return [
    {
      ...common,
      kind: "tls.handshake",
      name: "TLS 1.3",
      expected: "TLS 1.3 is accepted",
      remedy:
        "See whether the proxy runs and its port is published and open in the firewall; `docker ps` and the proxy's log say more.",
      run: (signal) => checkHandshake(target, signal),
    },
    {
      ...common,
      kind: "tls.certificate",
      name: "certificate",
      expected: expectedCertificate(target.host, issuer),
      remedy: certificateRemedy(issuer),
      needs,
      run: (signal) => checkCertificate(target, context, signal),
    },
    {
      ...common,
      kind: "tls.versions",
      name: "older TLS",
      expected: expectedVersions(target.terminator),
      remedy:
        target.terminator === "pingoo"
          ? "Something else than Pingoo answers on this port: see what publishes it."
          : "Set ssl_protocols of nginx to TLSv1.2 TLSv1.3.",
      needs,
      run: (signal) => checkVersions(target, signal),
    },
    {
      ...common,
      kind: "tls.post-quantum",
      name: "post-quantum",
      expected:
        target.terminator === "nginx"
          ? "X25519MLKEM768 is agreed, where nginx has OpenSSL 3.5 or later"
          : "X25519MLKEM768 is agreed",
      remedy: "Use an image of Pingoo whose TLS has X25519MLKEM768 (0.14 does).",
      needs,
      run: (signal) => checkPostQuantum(target, signal),
    },
  ];
}

async function checkHandshake(target: WebTarget, signal: AbortSignal): Promise<Outcome> {
  const socket = await openTls(target, { minVersion: "TLSv1.3" }, timeout, signal);
  try {
    return pass(`${socket.getProtocol()?.replace("v", " ")}, ${socket.getCipher().standardName}`);
  } finally {
    socket.destroy();
  }
}

// ---- certificates

/** A server's certificate as far as it is judged. */
export interface ServedCertificate {
  readonly certificate: X509Certificate;
  /** Code with which the chain was refused, e.g. `DEPTH_ZERO_SELF_SIGNED_CERT`; undefined when it is trusted. */
  readonly chainError?: string;
  /** Why the certificate is not for the name. */
  readonly nameError?: string;
}

async function checkCertificate(target: WebTarget, context: Context, signal: AbortSignal): Promise<Outcome> {
  const socket = await openTls(target, { secureContext: context.trust }, timeout, signal);
  try {
    return judgeCertificate(readCertificate(socket, target.host), context.targets.issuer, new Date());
  } finally {
    socket.destroy();
  }
}

function readCertificate(socket: TLSSocket, host: string): ServedCertificate {
  const peer = socket.getPeerCertificate(true);
  const nameError = checkServerIdentity(host, peer);
  // Node puts the code here, although its types say Error.
  const reason: unknown = socket.authorizationError;
  const code = socket.authorized ? undefined : reason instanceof Error ? reason.message : String(reason);
  return {
    certificate: new X509Certificate(peer.raw),
    // The name is judged apart.
    chainError: code === "ERR_TLS_CERT_ALTNAME_INVALID" ? undefined : code,
    nameError: nameError && printable(nameError.message),
  };
}

/**
 * Judges a certificate by who should have issued it. A certificate nears its end when less than 14 days or a sixth of
 * its life are left: Pingoo and certbot renew a 90-day certificate when 30 are left, so renewal has failed by then.
 *
 * @param now the clock, for tests
 */
export function judgeCertificate(served: ServedCertificate, issuer: Issuer, now: Date): Outcome {
  const { certificate, chainError, nameError } = served;
  const description = describeCertificate(certificate, now);
  const selfSigned = certificate.subject === certificate.issuer && certificate.verify(certificate.publicKey);
  if (issuer === "none") {
    if (selfSigned) return pass(`self-signed, as \`acme: none\` says: ${description}`);
    if (chainError) return pass(`not publicly trusted, as \`acme: none\` says: ${description}`);
    return pass(description);
  }
  if (selfSigned)
    return fail(
      `self-signed: ${description}`,
      "No certificate was issued yet. Ports 80 and 443 must be open to the world and DNS must lead here; the proxy's log says what the ACME server answered.",
    );

  const problems: string[] = [];
  const from = Date.parse(certificate.validFrom);
  const left = Date.parse(certificate.validTo) - now.getTime();
  const life = Date.parse(certificate.validTo) - from;
  if (now.getTime() < from) problems.push(`not valid before ${new Date(from).toISOString()}`);
  if (left <= 0) problems.push(`expired ${formatTime(-left)} ago`);
  else if (left < Math.min(14 * day, life / 6))
    problems.push(`expires in ${formatTime(left)}: renewal has failed`);
  if (nameError) problems.push(`for another name: ${nameError}`);
  if (issuer === "letsencrypt-staging") {
    if (chainError && !/\(STAGING\)/.test(certificate.issuer))
      problems.push("not from Let's Encrypt's staging");
  } else if (chainError && !timeErrors.has(chainError)) {
    problems.push(`its chain is not trusted (${chainError})`);
  }
  if (problems.length > 0) return fail(`${list(problems)}; ${description}`);
  return pass(description);
}

const day = 24 * 3600 * 1000;

// Told by the dates themselves.
const timeErrors = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);

/** Subject, issuer, key and life of a certificate in one line. */
function describeCertificate(certificate: X509Certificate, now: Date): string {
  const names = (certificate.subjectAltName ?? "")
    .split(", ")
    .map((name) => name.replace(/^(DNS|IP Address):/, ""))
    .filter((name) => name !== "");
  const left = Date.parse(certificate.validTo) - now.getTime();
  return printable(
    [
      names.length > 0 ? names[0] + (names.length > 1 ? ` and ${names.length - 1} more` : "") : "no names",
      `issuer ${issuerName(certificate)}`,
      keyName(certificate),
      left > 0 ? `${formatTime(left)} left` : "expired",
    ].join(", "),
  );
}

function issuerName({ issuer }: X509Certificate): string {
  const field = (key: string) => new RegExp(`^${key}=(.*)$`, "m").exec(issuer)?.[1];
  const organization = field("O");
  const common = field("CN");
  return [organization, common].filter((name) => name !== undefined).join(" ") || "unnamed";
}

function keyName({ publicKey }: X509Certificate): string {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = publicKey;
  const curves: Readonly<Record<string, string>> = {
    prime256v1: "P-256",
    secp384r1: "P-384",
    secp521r1: "P-521",
  };
  if (type === "ec") return `ECDSA ${curves[details?.namedCurve ?? ""] ?? details?.namedCurve ?? ""}`.trim();
  if (type === "rsa") return `RSA ${details?.modulusLength ?? ""}`.trim();
  return type ?? "key of an unknown type";
}

function formatTime(milliseconds: number): string {
  if (milliseconds >= 2 * day) return count(Math.floor(milliseconds / day), "day");
  if (milliseconds >= 2 * 3600_000) return count(Math.floor(milliseconds / 3600_000), "hour");
  return count(Math.floor(milliseconds / 60_000), "minute");
}

function expectedCertificate(host: string, issuer: Issuer): string {
  switch (issuer) {
    case "none":
      return "the proxy's self-signed certificate (`acme: none`)";
    case "letsencrypt-staging":
      return `for ${host}, from Let's Encrypt's staging, not about to expire`;
    case "letsencrypt":
    case "directory":
    case "public":
      return `for ${host}, from a trusted issuer, not about to expire`;
  }
}

function certificateRemedy(issuer: Issuer): string {
  const own =
    issuer === "directory" ? " Give the issuer's root with --ca FILE unless it is publicly trusted." : "";
  return `See the proxy's log for what its ACME client says; DNS must lead here and port 443 (nginx: 80) be open to the world.${own}`;
}

// ---- versions

function expectedVersions(terminator: WebTarget["terminator"]): string {
  switch (terminator) {
    case "pingoo":
      return "TLS 1.2 and older are refused";
    case "nginx":
      return "TLS 1.2 is accepted, 1.1 and older are refused";
    case "unknown":
      return "TLS 1.1 and older are refused";
  }
}

async function checkVersions(target: WebTarget, signal: AbortSignal): Promise<Outcome> {
  const [modern, old] = await Promise.all([
    acceptsTls12(target, signal),
    offer(target, "1.1", signal).then(
      (answer) => answer.kind === "server-hello" && versionName(answer.version),
      // Whoever hangs up has refused; the handshake with 1.3 went well.
      (error: unknown) => rethrowUnlessRefused(error),
    ),
  ]);
  const seen = `TLS 1.2 ${modern ? "accepted" : "refused"}, ${old ? `TLS ${old} accepted` : "1.1 and older refused"}`;
  const wanted = target.terminator === "unknown" || modern === (target.terminator === "nginx");
  return wanted && !old ? pass(seen) : fail(seen);
}

async function acceptsTls12(target: Endpoint, signal: AbortSignal): Promise<boolean> {
  try {
    const socket = await openTls(target, { minVersion: "TLSv1.2", maxVersion: "TLSv1.2" }, timeout, signal);
    socket.destroy();
    return true;
  } catch (error) {
    return rethrowUnlessRefused(error);
  }
}

function rethrowUnlessRefused(error: unknown): false {
  const { kind } = networkError(error);
  if (kind === "tls" || kind === "closed") return false;
  throw error;
}

/** Sends a ClientHello of our own making and reads the first answer. @throws {NetworkError} */
async function offer(target: Endpoint, version: TlsVersion, signal: AbortSignal): Promise<ServerAnswer> {
  const hello = buildClientHello({ serverName: target.host, version, random: randomBytes });
  return exchange(target, hello, readServerAnswer, { timeout, limit: 32 * 1024, signal });
}

function versionName(version: number): string {
  const found = Object.entries(tlsVersions).find(([, number]) => number === version);
  return found ? found[0] : `0x${version.toString(16)}`;
}

async function checkPostQuantum(target: WebTarget, signal: AbortSignal): Promise<Outcome> {
  const refuse = (seen: string) =>
    target.terminator === "pingoo"
      ? fail(seen)
      : knownLimit(seen, limitsPage, "Nothing to do: clients agree on X25519 instead.");
  let answer: ServerAnswer;
  try {
    answer = await offer(target, "1.3", signal);
  } catch (error) {
    if (networkError(error).kind === "closed") return refuse("the server hung up on X25519MLKEM768");
    throw error;
  }
  if (answer.kind === "alert")
    return refuse(`the server refused X25519MLKEM768: ${alertName(answer.description)}`);
  if (answer.group !== x25519MlKem768 || answer.kind !== "server-hello")
    return refuse(
      `the server wants ${answer.group === undefined ? `TLS ${versionName(answer.version)}` : groupName(answer.group)} instead`,
    );
  if (answer.shareLength !== x25519MlKem768ServerShare)
    return fail(`a share of ${answer.shareLength ?? 0} bytes for X25519MLKEM768`);
  return pass(`${groupName(answer.group)} agreed`);
}
