import { stalls, type Served, type Stall } from "../test/e2e/support/pingoo";
import { Arena, nginx, pingoo, pingooSaid, type Contender, type Target } from "./proxies";

const numbers = [1, 10, 100, 500];
/** Seconds for which the stalling clients are alone first, and for which honest ones come. */
const [lead, seconds] = [3, 6];

/** Honest clients at 20 a second, 50 ms away: the share of them served within a second while others stall. */
export async function benchStalls(): Promise<void> {
  const arena = await Arena.open("bench-stalls", 21900);
  const { crowd } = arena;
  const many = crowd.addresses("stalling");
  const few = many.replace(/\/25$/, "/31");
  try {
    console.log(`Share of honest clients served within 1 s / 5 s while others stall, ${pingooSaid()}\n`);
    console.log(`| | from | ${stalls.flatMap((kind) => numbers.map((n) => `${n} ${kind}`)).join(" | ")} |`);
    console.log(`| --- | --- | ${stalls.flatMap(() => numbers.map(() => "---")).join(" | ")} |`);
    const rows: [Contender, string, readonly number[]][] = [
      [pingoo(1), many, [1]],
      [pingoo(128), many, numbers],
      [pingoo(128), few, numbers],
      [nginx, many, [100, 500]],
    ];
    for (const [contender, from, wanted] of rows) {
      const cells: string[] = [];
      const target = await arena.enter(contender);
      for (const kind of stalls)
        for (const number of numbers) {
          if (!wanted.includes(number)) {
            cells.push("");
            continue;
          }
          // Nobody is known from before.
          if (contender.listeners > 1) await arena.stack.container("pingoo").restart({ t: 5 });
          await pause(1000);
          cells.push(await measure(arena, target, kind, number, from));
        }
      console.log(`| ${contender.name} | ${from === few ? "2" : "128"} addresses | ${cells.join(" | ")} |`);
    }
  } finally {
    await arena.close();
  }
}

async function measure({ crowd }: Arena, target: Target, kind: Stall, concurrency: number, from: string) {
  const stalling = crowd.send("stall", { ...target, kind, concurrency, from, for: `${lead + seconds + 1}s` });
  await pause(lead * 1000);
  const honest = await crowd.send<Served>("honest", {
    ...target,
    from: crowd.addresses("honest"),
    delay: "50ms",
    for: `${seconds}s`,
  });
  await stalling;
  const percent = (share: number) => (100 * share).toFixed(share === 1 ? 0 : 1);
  return `${percent(honest.withinOneSecond)} / ${percent(honest.withinFiveSeconds)}`;
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
