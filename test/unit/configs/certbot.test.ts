import { execFileSync, spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";

import { renderCertbotScript, type CertbotModel } from "../../../configs/certbot";
import { shellWord } from "../../../configs/shell";
import { readScript } from "../../../scripts";
import { root } from "../support/config";

const model: CertbotModel = {
  domains: ["api.torrust.org", "grafana.torrust.org"],
  acme: { directoryUrl: "https://acme-v02.api.letsencrypt.org/directory", email: "admin@torrust.org" },
};
const selfSigned: CertbotModel = { domains: ["grafana.localhost"] };
const hostile: CertbotModel = {
  domains: ["a.org"],
  acme: { directoryUrl: `https://acme.test/'"$(touch /tmp/x)\`id\`;#` },
};
const render = (given: CertbotModel) => renderCertbotScript(readScript("certbot.sh"), given);
const hasShellcheck = spawnSync("shellcheck", ["--version"]).status === 0;

describe("certbot's script", () => {
  it("that orders", () => expect(render(model)).toMatchFileSnapshot("golden/certbot.sh"));
  it("that orders nothing", () =>
    expect(render(selfSigned)).toMatchFileSnapshot("golden/certbot-self-signed.sh"));

  it.each([model, selfSigned, hostile])("is a script for a POSIX shell", (given) => {
    execFileSync("sh", ["-n"], { input: render(given) });
  });

  it.skipIf(!hasShellcheck).each([model, selfSigned])("has nothing that shellcheck minds", (given) => {
    const { stdout } = spawnSync("shellcheck", ["--shell=sh", "-"], { input: render(given) });
    expect(stdout.toString()).toBe("");
  });

  it("registers with the address that is given, or says that it has none", () => {
    expect(render(model)).toContain("--agree-tos --email 'admin@torrust.org' ");
    expect(render({ ...model, acme: { directoryUrl: "https://a/b" } })).toContain(
      "--agree-tos --register-unsafely-without-email ",
    );
  });

  it("asks nobody where certificates are self-signed", () => {
    const script = render(selfSigned);
    expect(script).not.toContain("certbot certonly");
    expect(script).not.toContain("python3");
    expect(script).not.toContain("$home/live");
  });

  it.each([
    [1, 300],
    [2, 600],
    [3, 1200],
    [7, 19200],
    [8, 21600],
    [50, 21600],
  ])("waits after %i failures for %i seconds", (count, seconds) => {
    const { failures } = functionsOf(render(model));
    const program = `home=$(mktemp -d) domain=d directory=x; mkdir "$home/orders"
echo "${count} 1000 x" >"$home/orders/d.failed"\n${failures}\nfailures; echo "$count $last $delay"; rm -r "$home"`;
    expect(execFileSync("sh", ["-c", program]).toString()).toBe(`${count} 1000 ${seconds}\n`);
  });

  it("orders at once from another directory than the one that refused", () => {
    const { failures } = functionsOf(render(model));
    const program = `home=$(mktemp -d) domain=d directory=other; mkdir "$home/orders"
echo "7 1000 x" >"$home/orders/d.failed"\n${failures}\nfailures; echo "$count $last $delay"; rm -r "$home"`;
    expect(execFileSync("sh", ["-c", program]).toString()).toBe("0 0 0\n");
  });
});

it.each([
  [1000, "0", true],
  [1000, "901", false],
  [1000, "900", true],
  // Noted while the clock was ahead.
  [1000, "4000", true],
])("at %i, 100 s have passed since %s: %s", (now, since, expected) => {
  const program = `date() { echo ${now}; }\n. ./scripts/passed.sh\npassed ${since} 100`;
  expect(spawnSync("sh", ["-c", program], { cwd: root }).status === 0).toBe(expected);
});

describe("a word for a shell", () => {
  it.each(["a.org", "it's", `"$(id)"`, "`id`", "a b\nc", "\\", "", "'", "''"])("means %j alone", (word) => {
    const output = execFileSync("sh", ["-c", `printf %s ${shellWord(word)}`]).toString();
    expect(output).toBe(word);
  });
});

/** The script's functions by name. */
function functionsOf(script: string): Record<string, string> {
  const found = script.matchAll(/^(\w+)\(\) \{\n[\s\S]*?^\}/gm);
  return Object.fromEntries([...found].map(([text, name]) => [name!, text]));
}
