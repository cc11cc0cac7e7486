import { X509Certificate } from "node:crypto";
import { createSocket } from "node:dgram";
import { createServer, type AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";

import type { Context, NameResolver, Outcome } from "../../../verify/check";
import { verify } from "../../../verify/deployment";
import { readTargets, type Issuer } from "../../../verify/targets";
import { judgeCertificate } from "../../../verify/tls";
import { dnsChecks } from "../../../verify/dns";
import { daysFromNow, makeAuthority, makeIdentity } from "./support/certificates";

const authority = makeAuthority("(STAGING) Pretend Pear X1");
const certificateOf = (options: Parameters<typeof makeIdentity>[0], signed = true) =>
  new X509Certificate(makeIdentity(options, signed ? authority : undefined).cert);

describe("judgeCertificate", () => {
  const now = new Date();
  const judge = (
    certificate: X509Certificate,
    issuer: Issuer,
    more: { chainError?: string; nameError?: string } = {},
  ) => judgeCertificate({ certificate, ...more }, issuer, now);
  const good = certificateOf({ name: "a", altNames: ["a.test", "b.test"] });

  it("describes names, issuer, key and life", () => {
    expect(judge(good, "letsencrypt")).toEqual({
      status: "pass",
      seen: "a.test and 1 more, issuer (STAGING) Pretend Pear X1, ECDSA P-256, 88 days left",
    });
    const rsa = certificateOf({ name: "a", keyType: "rsa", notAfter: new Date(now.getTime() + 30 * 60_000) });
    expect(judge(rsa, "none").seen).toBe(
      "no names, issuer (STAGING) Pretend Pear X1, RSA 2048, 29 minutes left",
    );
  });

  it("judges a short life by its sixth, not by days", () => {
    const minutes = (before: number, after: number) =>
      certificateOf({
        name: "a",
        altNames: ["a.test"],
        notBefore: new Date(now.getTime() - before * 60_000),
        notAfter: new Date(now.getTime() + after * 60_000),
      });
    expect(judge(minutes(5, 5), "directory").status).toBe("pass");
    expect(judge(minutes(57, 3), "directory").seen).toMatch(/^expires in [23] minutes: renewal has failed/);
  });

  it("names every fault at once", () => {
    const old = certificateOf({ name: "a", notBefore: daysFromNow(-100), notAfter: daysFromNow(-5) });
    expect(
      judge(old, "public", { chainError: "UNABLE_TO_GET_ISSUER_CERT_LOCALLY", nameError: "not a" }).seen,
    ).toMatch(
      /^expired [45] days ago, for another name: not a and its chain is not trusted \(UNABLE_TO_GET_ISSUER_CERT_LOCALLY\); no names/,
    );
    // Told by the date already.
    expect(judge(old, "public", { chainError: "CERT_HAS_EXPIRED" }).seen).toMatch(/^expired [45] days ago; /);
  });

  it("takes Let's Encrypt's staging for what it is", () => {
    const untrusted = { chainError: "UNABLE_TO_GET_ISSUER_CERT_LOCALLY" };
    expect(judge(good, "letsencrypt-staging", untrusted).status).toBe("pass");
    expect(judge(good, "letsencrypt", untrusted).status).toBe("fail");
    const stranger = new X509Certificate(
      makeIdentity({ name: "a", altNames: ["a.test"] }, makeAuthority("Other")).cert,
    );
    expect(judge(stranger, "letsencrypt-staging", untrusted).seen).toMatch(
      /^not from Let's Encrypt's staging/,
    );
  });

  it("expects the self-signed one where there is no ACME, and nowhere else", () => {
    const own = certificateOf({ name: "Pingoo" }, false);
    expect(judge(own, "none", { chainError: "DEPTH_ZERO_SELF_SIGNED_CERT" }).seen).toMatch(
      /^self-signed, as `acme: none`/,
    );
    expect(judge(good, "none", { chainError: "X" }).seen).toMatch(/^not publicly trusted, as `acme: none`/);
    expect(judge(good, "none").status).toBe("pass");
    for (const issuer of ["letsencrypt", "letsencrypt-staging", "directory", "public"] as const) {
      expect(judge(own, issuer)).toMatchObject({
        status: "fail",
        remedy: expect.stringContaining("No certificate was issued yet"),
      });
    }
  });
});

describe("DNS", () => {
  const host = "api.torrust-demo.org";
  const closers: (() => void)[] = [];
  afterEach(() => closers.splice(0).forEach((close) => close()));

  async function look(
    records: { a?: string[]; aaaa?: string[]; error?: string },
    addresses: Record<string, string>,
    { name = host, port = 443, hasIpv6 = false } = {},
  ): Promise<Outcome> {
    const answer = async (found: string[] | undefined) => {
      if (records.error || !found)
        throw Object.assign(new Error("query"), { code: records.error ?? "ENODATA" });
      return found;
    };
    const resolver: NameResolver = {
      resolve4: () => answer(records.a),
      resolve6: () => answer(records.aaaa),
    };
    const context: Context = {
      targets: readTargets({ urls: { api: `https://${name}:${port}` }, addresses }),
      long: false,
      resolver,
      hasIpv6For: () => hasIpv6,
      secret: () => undefined,
      atEnd: () => undefined,
    };
    const check = dnsChecks(context).find(({ kind }) => kind === "dns.addresses")!;
    return check
      .run(new AbortController().signal)
      .catch((error: Error) => ({ status: "fail", seen: error.message }));
  }

  const ipv4 = "198.51.100.7";
  it.each([
    ["the right address", { a: [ipv4] }, { ipv4 }, "pass", `A ${ipv4}`],
    [
      "both addresses",
      { a: [ipv4], aaaa: ["2001:db8::7"] },
      { ipv4, ipv6: "2001:db8::7" },
      "pass",
      `A ${ipv4}, AAAA 2001:db8::7`,
    ],
    ["an address where none is known", { a: ["192.0.2.1"] }, {}, "pass", "A 192.0.2.1"],
    ["no record", {}, { ipv4 }, "fail", "no A and no AAAA record"],
    ["no such name", { error: "ENOTFOUND" }, { ipv4 }, "fail", "no A and no AAAA record"],
    ["a dead name server", { error: "ETIMEOUT" }, { ipv4 }, "fail", "DNS does not answer (ETIMEOUT)"],
    [
      "another address",
      { a: ["192.0.2.1"] },
      { ipv4 },
      "fail",
      "A 192.0.2.1: 192.0.2.1 is not the deployment",
    ],
    [
      "one too many",
      { a: [ipv4, "192.0.2.1"] },
      { ipv4 },
      "fail",
      `A ${ipv4}, A 192.0.2.1: 192.0.2.1 is not the deployment`,
    ],
    [
      "an AAAA that leads elsewhere",
      { a: [ipv4], aaaa: ["2001:db8::1"] },
      { ipv4 },
      "fail",
      `A ${ipv4}, AAAA 2001:db8::1: 2001:db8::1 is not the deployment`,
    ],
    [
      "no A",
      { aaaa: ["2001:db8::7"] },
      { ipv4, ipv6: "2001:db8::7" },
      "fail",
      `AAAA 2001:db8::7: no A ${ipv4}`,
    ],
    ["no AAAA", { a: [ipv4] }, { ipv4, ipv6: "2001:db8::7" }, "fail", `A ${ipv4}: no AAAA 2001:db8::7`],
    [
      "a loopback deployment",
      { a: ["192.0.2.1"] },
      { ipv4: "127.0.0.1" },
      "skip",
      "the deployment is reached at a loopback address",
    ],
  ] as const)("%s", async (_, records, addresses, status, seen) => {
    expect(await look(records as Parameters<typeof look>[0], addresses)).toMatchObject({ status, seen });
  });

  it.each(["api.localhost", "api.test", "localhost", "nas.local", "x.home.arpa"])(
    "does not ask for %s",
    async (name) => {
      expect(await look({}, { ipv4 }, { name })).toMatchObject({ status: "skip" });
    },
  );

  it("does not ask for an address", async () => {
    expect(await look({}, { ipv4 }, { name: "198.51.100.7" })).toMatchObject({
      status: "skip",
      seen: "an address, no name",
    });
  });

  it("tries the port behind an AAAA record, where this machine can", async () => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closers.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    const ipv6 = "127.0.0.1"; // stands for an IPv6 address that is open
    expect(await look({ a: [ipv4], aaaa: [ipv6] }, { ipv4 }, { port, hasIpv6: true })).toMatchObject({
      status: "fail",
    });
    const open = { a: ["192.0.2.1"], aaaa: [ipv6] };
    expect(await look(open, {}, { port, hasIpv6: true })).toMatchObject({ status: "pass" });
    expect(await look(open, {}, { port: 1, hasIpv6: true })).toMatchObject({
      status: "fail",
      seen: "A 192.0.2.1, AAAA 127.0.0.1: nothing answers on 127.0.0.1:1",
    });
  });

  it("asks the name server that it was told, and gives up on one that is silent", async () => {
    const asked: string[] = [];
    const server = createSocket("udp4", (query) => void asked.push(query.toString("latin1")));
    await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
    closers.push(() => server.close());
    const report = await verify({
      targets: readTargets({
        announceUrls: { udp: [`udp://${host}:6969`] },
        addresses: { ipv4: "192.0.2.1" },
      }),
      nameServer: `127.0.0.1:${server.address().port}`,
      skip: ["udp-tracker", "exposure"],
    });
    expect(report.checks.map(({ kind, status, seen }) => `${kind} ${status} ${seen}`)).toEqual([
      "dns.addresses fail DNS does not answer (ETIMEOUT)",
    ]);
    expect(asked.length).toBeGreaterThan(0);
  });
});
