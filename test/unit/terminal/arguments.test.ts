import { describe, expect, test } from "vitest";

import { parseFlags } from "../../../terminal/arguments";
import { CommandError } from "../../../terminal/terminal";

describe("flags", () => {
  const options = {
    stack: { type: "string" },
    json: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  } as const;
  const parse = (...args: string[]) => parseFlags("cmd", args, options);

  test("are read", () => {
    expect(parse("--stack", "a", "--json")).toEqual({ stack: "a", json: true });
    expect(parse("--stack=-odd", "-h")).toEqual({ stack: "-odd", help: true });
    expect(parse()).toEqual({});
  });

  test.each([
    [["--stak", "a"], "--stak is not known. Did you mean --stack?"],
    [["--nothing-like-it"], "Known are: --stack, --json, --help."],
    [["--stack"], "--stack needs a value"],
    [["--stack="], "--stack needs a value"],
    [["--stack", "--json"], "--stack needs a value, but --json follows"],
    [["--json=yes"], "--json takes no value"],
    [["dev"], '"dev" is not expected'],
    [["-x"], "-x is not known"],
  ])("%j are refused", (args, message) => {
    expect(() => parse(...args)).toThrow(message);
    expect(() => parse(...args)).toThrow(CommandError);
  });
});
