import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";

import { buildImages } from "../images/build";
import { TestStack, type Outputs } from "./support/engine";
import { expectVerified } from "./support/verify";

const stackOf = (httpsPort: number, udpPort: number) => ({
  apiDomain: "api.torrust.test",
  httpTrackers: [{ domain: "tracker.torrust.test" }],
  udpTrackers: [{ port: udpPort }],
  acme: "none",
  grafana: false,
  httpsPort,
});
const [left, right] = [stackOf(22443, 22969), stackOf(22444, 22970)];

describe.skipIf(!inject("engine"))("two stacks on one engine", { timeout: 240_000 }, () => {
  let stacks: TestStack[] = [];
  const outputs: Outputs[] = [];

  beforeAll(async () => {
    await buildImages({ log: (line) => console.log(line) });
    stacks = [await TestStack.fresh("neighbours-left"), await TestStack.fresh("neighbours-right")];
    for (const [i, values] of [left, right].entries()) outputs.push((await stacks[i]!.up(values)).outputs);
  }, 1_800_000);
  afterAll(async () => {
    for (const stack of stacks) await stack.down();
  }, 120_000);

  it("both work, each with tokens, volumes and peers of its own", async () => {
    for (const each of outputs) await expectVerified(each);
    const [a, b] = outputs as [Outputs, Outputs];
    expect(a.adminToken).not.toBe(b.adminToken);
    const volumes = outputs.flatMap((each) => Object.values(each.volumes));
    expect(new Set(volumes).size).toBe(volumes.length);
  });

  it("a change of one, and its removal, leave the other as it is", async () => {
    const before = await containersOf(stacks[1]!);
    await stacks[0]!.up({ ...left, announceInterval: 180 });
    expect(await containersOf(stacks[1]!)).toEqual(before);
    await stacks[0]!.down();
    expect(await containersOf(stacks[1]!)).toEqual(before);
    expect((await stacks[1]!.up(right)).summary).toMatchObject({ created: 0, replaced: 0, removed: 0 });
    await expectVerified(outputs[1]!);
  });
});

/** Identity and start time of each container of a stack. */
async function containersOf({ docker, name }: TestStack): Promise<string[]> {
  const found = await docker.listContainers({
    all: true,
    filters: { label: [`torrust-pingoo.in-process=${name}`] },
  });
  const states = await Promise.all(
    found.map(async ({ Id }) => (await docker.getContainer(Id).inspect()).State),
  );
  expect(found.length).toBeGreaterThan(1);
  return found.map(({ Id }, i) => `${Id} ${states[i]!.StartedAt}`).sort();
}
