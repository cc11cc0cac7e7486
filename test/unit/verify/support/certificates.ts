import { createPublicKey, generateKeyPairSync, randomBytes, sign, type KeyObject } from "node:crypto";

/** A key and the certificate for it, PEM. */
export interface Identity {
  readonly key: string;
  readonly cert: string;
}

export interface Authority extends Identity {
  readonly name: string;
  readonly privateKey: KeyObject;
}

interface CertificateOptions {
  /** Common name of the subject. */
  readonly name: string;
  readonly altNames?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly ca?: boolean;
  readonly keyType?: "ec" | "rsa" | "p521";
}

const day = 24 * 3600 * 1000;
export const daysFromNow = (days: number) => new Date(Date.now() + days * day);

/** A certificate authority with a self-signed root. */
export function makeAuthority(name = "Test Root"): Authority {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const cert = build({ name, ca: true, notAfter: daysFromNow(365) }, privateKey, name, privateKey);
  return { name, privateKey, cert, key: pem(privateKey) };
}

/** A certificate by an authority, or self-signed without one. 89 of 90 days left unless told otherwise. */
export function makeIdentity(options: CertificateOptions, authority?: Authority): Identity {
  const { privateKey } =
    options.keyType === "rsa"
      ? generateKeyPairSync("rsa", { modulusLength: 2048 })
      : generateKeyPairSync("ec", { namedCurve: options.keyType === "p521" ? "P-521" : "P-256" });
  const signer = authority?.privateKey ?? privateKey;
  return { key: pem(privateKey), cert: build(options, privateKey, authority?.name ?? options.name, signer) };
}

function pem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

/** X.509 version 3 (RFC 5280), as small as it can be. */
function build(options: CertificateOptions, key: KeyObject, issuer: string, signer: KeyObject): string {
  const rsa = signer.asymmetricKeyType === "rsa";
  const algorithm = rsa ? sequence(oid("2a864886f70d01010b"), der(0x05)) : sequence(oid("2a8648ce3d040302"));
  const extensions = [
    extension("551d13", sequence(...(options.ca ? [der(0x01, Buffer.from([0xff]))] : []))),
    ...(options.altNames
      ? [extension("551d11", sequence(...options.altNames.map((name) => der(0x82, Buffer.from(name)))))]
      : []),
  ];
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([0x40]), randomBytes(8)])),
    algorithm,
    distinguishedName(issuer),
    sequence(time(options.notBefore ?? daysFromNow(-1)), time(options.notAfter ?? daysFromNow(89))),
    distinguishedName(options.name),
    createPublicKey(key).export({ type: "spki", format: "der" }),
    der(0xa3, sequence(...extensions)),
  );
  const signature = sign("sha256", body, signer);
  const whole = sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const lines = whole.toString("base64").replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

function der(tag: number, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content);
  const length =
    body.length < 128
      ? Buffer.from([body.length])
      : body.length < 256
        ? Buffer.from([0x81, body.length])
        : Buffer.from([0x82, body.length >> 8, body.length & 255]);
  return Buffer.concat([Buffer.from([tag]), length, body]);
}

function sequence(...content: Buffer[]): Buffer {
  return der(0x30, ...content);
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, "hex"));
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(oid(id), der(0x04, value));
}

function distinguishedName(name: string): Buffer {
  return sequence(der(0x31, sequence(oid("550403"), der(0x0c, Buffer.from(name)))));
}

function time(date: Date): Buffer {
  const text = date.toISOString().replace(/[-:T]/g, "").slice(2, 14);
  return der(0x17, Buffer.from(`${text}Z`));
}
