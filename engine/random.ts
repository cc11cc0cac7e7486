import { randomBytes, randomInt } from "node:crypto";

import type { ResourceRequest } from "../program/monitor";
import { reveal } from "../program/secrets";

/** Values for a `random:*` resource as the Pulumi provider of that name draws them. */
export function generateValues({ type, name, inputs }: ResourceRequest): Record<string, string> {
  const given = reveal(inputs) as Record<string, unknown>;
  switch (type) {
    case "random:index/randomPassword:RandomPassword":
    case "random:index/randomString:RandomString":
      return { result: randomText(given) };
    case "random:index/randomBytes:RandomBytes": {
      const bytes = randomBytes(Number(given.length));
      return { base64: bytes.toString("base64"), hex: bytes.toString("hex") };
    }
    case "random:index/randomId:RandomId": {
      const bytes = randomBytes(Number(given.byteLength));
      const prefix = typeof given.prefix === "string" ? given.prefix : "";
      return {
        hex: prefix + bytes.toString("hex"),
        b64Std: prefix + bytes.toString("base64"),
        b64Url: prefix + bytes.toString("base64url"),
        dec: prefix + BigInt(`0x${bytes.toString("hex")}`).toString(),
      };
    }
    default:
      throw new Error(
        `${name}: resources of type ${type} can be made by the Pulumi CLI only. Use npm run up.`,
      );
  }
}

/** Characters as the provider draws them: each class unless switched off, with its minimum, shuffled. */
function randomText(inputs: Record<string, unknown>): string {
  const length = Number(inputs.length);
  const special =
    typeof inputs.overrideSpecial === "string" ? inputs.overrideSpecial : "!@#$%&*()-_=+[]{}<>:?";
  const classes = [
    { on: inputs.lower, minimum: inputs.minLower, characters: "abcdefghijklmnopqrstuvwxyz" },
    { on: inputs.upper, minimum: inputs.minUpper, characters: "ABCDEFGHIJKLMNOPQRSTUVWXYZ" },
    { on: inputs.numeric ?? inputs.number, minimum: inputs.minNumeric, characters: "0123456789" },
    { on: inputs.special, minimum: inputs.minSpecial, characters: special },
  ].filter(({ on }) => on !== false);
  const alphabet = classes.map(({ characters }) => characters).join("");
  if (!(length > 0) || alphabet === "")
    throw new Error("a random text needs a length and at least one class of characters");
  const drawn = classes.flatMap(({ minimum, characters }) =>
    Array.from({ length: Number(minimum ?? 0) }, () => pick(characters)),
  );
  while (drawn.length < length) drawn.push(pick(alphabet));
  for (let index = drawn.length - 1; index > 0; index--) {
    const other = randomInt(index + 1);
    [drawn[index], drawn[other]] = [drawn[other]!, drawn[index]!];
  }
  return drawn.join("");
}

function pick(characters: string): string {
  return characters[randomInt(characters.length)]!;
}
