import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { sshCommandLine, sshOptions } from "../../../configs/ssh-client";
import { sshKeyPair } from "../../../configs/ssh-key";

const hasOpenSsh = (() => {
  try {
    execFileSync("ssh-keygen", ["-?"], { stdio: "ignore" });
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ENOENT";
  }
  return true;
})();
if (!hasOpenSsh) console.warn("SKIPPED: what OpenSSH makes of a key, because there is no ssh-keygen");

describe("a key pair", () => {
  it.skipIf(!hasOpenSsh)("is one to OpenSSH", () => {
    const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-key-"));
    for (const seed of fc.sample(fc.uint8Array({ minLength: 32, maxLength: 32 }), 5)) {
      const { privateKey, publicKey } = sshKeyPair(seed);
      writeFileSync(join(folder, "key"), privateKey, { mode: 0o600 });
      expect(execFileSync("ssh-keygen", ["-y", "-f", join(folder, "key")], { encoding: "utf8" }).trim()).toBe(
        publicKey,
      );
    }
    rmSync(folder, { recursive: true });
  });

  it("is the same for the same seed, and another for another", () => {
    expect(sshKeyPair(Buffer.alloc(32, 1))).toEqual(sshKeyPair(Buffer.alloc(32, 1)));
    expect(sshKeyPair(Buffer.alloc(32, 1)).publicKey).not.toBe(sshKeyPair(Buffer.alloc(32, 2)).publicKey);
  });

  it("is made of 32 bytes", () => expect(() => sshKeyPair(Buffer.alloc(31))).toThrow("not of 31"));
});

describe("the SSH client", () => {
  const target = { host: "192.0.2.7", port: 22, user: "root", hostKey: "ssh-ed25519 AAAA" };

  it("accepts the given host key and no other, and asks nothing", () => {
    const options = sshOptions(target);
    expect(options).toContain("StrictHostKeyChecking=yes");
    expect(options).toContain("KnownHostsCommand=/bin/echo %H ssh-ed25519 AAAA");
    expect(options).toContain("UserKnownHostsFile=/dev/null");
    expect(options).toContain("BatchMode=yes");
    expect(options.join()).not.toContain("Identit");
  });

  it("offers the named key alone", () => {
    expect(sshOptions({ ...target, keyFile: "~/.ssh/deploy" })).toEqual(
      expect.arrayContaining(["IdentitiesOnly=yes", "IdentityFile=~/.ssh/deploy"]),
    );
  });

  it.skipIf(!hasOpenSsh)("understands its options", () => {
    const said = execFileSync(
      "ssh",
      ["-G", ...sshOptions({ ...target, keyFile: "~/.ssh/deploy" }), "-p", "2222", "-l", "ops", "h"],
      {
        encoding: "utf8",
      },
    );
    expect(said).toMatch(/^knownhostscommand \/bin\/echo %H ssh-ed25519 AAAA$/m);
    expect(said).toMatch(/^stricthostkeychecking true$/m);
    expect(said).toMatch(/^identityfile ~\/.ssh\/deploy$/m);
  });

  it("can be called from a terminal", () => {
    expect(sshCommandLine(target)).toMatch(
      /'KnownHostsCommand=\/bin\/echo %H ssh-ed25519 AAAA' -p 22 -l root 192\.0\.2\.7$/,
    );
  });
});
