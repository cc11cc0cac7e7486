import { expect, it } from "vitest";

import { nearest } from "../../../settings/nearest";

const keys = ["httpsPort", "grafanaPort", "udpTrackers"];

it.each([
  ["httpPort", "httpsPort"],
  ["HTTPSPORT", "httpsPort"],
  ["udptracker", "udpTrackers"],
  ["grafanPort", "grafanaPort"],
  ["httpsProt", "httpsPort"],
  ["x", undefined],
  ["", undefined],
])("%s most likely means %s", (word, expected) => expect(nearest(word, keys)).toBe(expected));

it("finds nothing among nothing", () => expect(nearest("a", [])).toBeUndefined());
