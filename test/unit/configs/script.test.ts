import { describe, expect, it } from "vitest";

import { renderScript, type ScriptValues } from "../../../configs/script";

const lines = (...all: string[]) => all.join("\n");

describe("a script", () => {
  it.each<[string, string, ScriptValues, string]>([
    [
      "an assignment",
      "stack='example'\necho \"$stack\"",
      { stack: "'mine'" },
      "stack='mine'\necho \"$stack\"",
    ],
    ["one in Python", "PORT = 80\nserve(PORT)", { PORT: "81" }, "PORT = 81\nserve(PORT)"],
    ["none inside a function", "f() {\n  a=1\n}\na=2", { a: "3" }, "f() {\n  a=1\n}\na=3"],
    ["the example where nothing is given", "a=1\nb=2", { b: "3" }, "a=1\nb=3"],
    [
      "values in their places",
      lines("##inline", "tick=5", "folder=/x", "##end", 'sleep "$tick"', 'echo "$tick s" >"$folder".new'),
      { folder: "/y" },
      lines("sleep 5", 'echo "5 s" >/y.new'),
    ],
    [
      "values in their places in Python",
      lines("##inline", "PORT = 80", "##end", "serve(PORT, IMPORT, PORTS)"),
      { PORT: "81" },
      "serve(81, IMPORT, PORTS)",
    ],
    ["no longer names", "##inline\na=1\n##end\necho $ab $a", {}, "echo $ab 1"],
    ["a part", "a\n  ##if x\n  b\n  ##end\nc", { x: true }, "a\n  b\nc"],
    ["no part", "a\n##if x\nb\n##end\nc", { x: false }, "a\nc"],
    ["a part for want of another", "a\n##unless x\nb\n##end\nc", { x: false }, "a\nb\nc"],
    ["parts of parts", "##if x\na\n##if y\nb\n##end\nc\n##end\nd", { x: true, y: false }, "a\nc\nd"],
    ["no part of one that goes", "##if x\na\n##if y\nb\n##end\nc\n##end\nd", { x: false, y: true }, "d"],
    ["comments", "## of the source\n# of the script\n# shellcheck disable=SC1\na", {}, "# of the script\na"],
  ])("has %s", (_, source, values, rendered) => expect(renderScript(source, values)).toBe(rendered));

  it("takes a value as it is, whatever it looks like", () => {
    const source = lines("domain=x", "##inline", "tick=5", "contact=x", "##end", "say $contact");
    expect(renderScript(source, { domain: "'$tick'", contact: "'$& $1 $tick'" })).toBe(
      lines("domain='$tick'", "say '$& $1 $tick'"),
    );
  });

  it("has every name that is given, also in a part that goes", () => {
    expect(renderScript("##if x\na=1\n##end", { x: false, a: "2" })).toBe("");
    expect(() => renderScript("a=1", { a: "2", b: "3", c: true })).toThrow("The script has no b, c.");
  });

  it("is told of each part whether it stays", () =>
    expect(() => renderScript("##if x\n##end")).toThrow("Nothing says whether the script's part x stays."));
});
