import { createPrivateKey, createPublicKey } from "node:crypto";

/** An Ed25519 key pair in OpenSSH's forms. */
export interface SshKeyPair {
  /** PEM, `-----BEGIN OPENSSH PRIVATE KEY-----`. */
  readonly privateKey: string;
  /** One line, `ssh-ed25519 AAAA…`, without a comment. */
  readonly publicKey: string;
}

const keyType = "ssh-ed25519";
/** PKCS #8 up to the 32 bytes of the key (RFC 8410). */
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex");

/**
 * The Ed25519 key pair of a seed, the same each time: sshd reads its private key in OpenSSH's own format only, which
 * Node.js does not write.
 *
 * @param seed 32 random bytes
 */
export function sshKeyPair(seed: Uint8Array): SshKeyPair {
  if (seed.length !== 32) throw new Error(`An Ed25519 key is made of 32 bytes, not of ${seed.length}.`);
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: "der", type: "pkcs8" });
  const { x } = createPublicKey(key).export({ format: "jwk" });
  const point = Buffer.from(x!, "base64url");
  const publicBlob = Buffer.concat([text(keyType), text(point)]);

  // https://cvsweb.openbsd.org/src/usr.bin/ssh/PROTOCOL.key
  const check = point.subarray(0, 4);
  const secret = Buffer.concat([
    check,
    check,
    text(keyType),
    text(point),
    text(Buffer.concat([seed, point])),
    text(""),
  ]);
  const padding = Buffer.from(Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, index) => index + 1));
  const blob = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    text("none"),
    text("none"),
    text(""),
    number(1),
    text(publicBlob),
    text(Buffer.concat([secret, padding])),
  ]);
  const lines = blob.toString("base64").match(/.{1,70}/g) ?? [];
  return {
    privateKey: [
      "-----BEGIN OPENSSH PRIVATE KEY-----",
      ...lines,
      "-----END OPENSSH PRIVATE KEY-----",
      "",
    ].join("\n"),
    publicKey: `${keyType} ${publicBlob.toString("base64")}`,
  };
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A string of the SSH protocol (RFC 4251): its length, then its bytes. */
function text(value: string | Uint8Array): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  return Buffer.concat([number(bytes.length), bytes]);
}
