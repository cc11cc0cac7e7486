import { Arena, nginx, pingoo, pingooSaid, type Contender } from "./proxies";

const delays = [0, 50, 100];
const seconds = 5;
const contenders: readonly Contender[] = [pingoo(1), pingoo(32), pingoo(64), pingoo(128)];

interface Flooded {
  readonly perSecond: number;
  readonly median: number;
  readonly failures: number;
}

interface Row {
  readonly contender: Contender;
  /** By delay. */
  readonly results: readonly Flooded[];
  /** Resident memory of Pingoo after it, and time from its first line to its last listener. */
  readonly memory?: string;
  readonly start?: string;
}

/**
 * New TLS connections per second: full handshakes of clients that wait a while before their second flight, as distant
 * ones do. Clients, proxy and upstream share this machine, so only the ratios to nginx mean something elsewhere.
 */
export async function benchTls(concurrency = 400): Promise<void> {
  const arena = await Arena.open("bench-tls", 21800);
  try {
    const rows: Row[] = [];
    for (const contender of [nginx, ...contenders, nginx])
      rows.push(await measure(arena, contender, concurrency));
    print(rows, concurrency);
  } finally {
    await arena.close();
  }
}

async function measure(arena: Arena, contender: Contender, concurrency: number): Promise<Row> {
  const target = await arena.enter(contender);
  const results: Flooded[] = [];
  for (const delay of delays) {
    const flags = { ...target, from: arena.crowd.addresses("honest"), concurrency };
    results.push(
      await arena.crowd.send<Flooded>("flood", {
        ...flags,
        delay: `${delay}ms`,
        for: `${seconds}s`,
        patience: "60s",
      }),
    );
  }
  console.error(`${contender.name}: ${results.map(({ perSecond }) => Math.round(perSecond)).join(", ")}`);
  if (contender.proxy === "nginx") return { contender, results };
  return { contender, results, ...(contender.listeners > 1 ? await footprint(arena) : {}) };
}

async function footprint({ stack }: Arena): Promise<Pick<Row, "memory" | "start">> {
  const [pid] = await stack.pids("/bin/pingoo");
  const { output } = await stack.exec("cat", `/proc/${pid}/status`);
  const times = [
    ...(await stack.logs()).matchAll(/"timestamp":"([^"]+)".*?"(?:configuration|Starting listener)/g),
  ];
  const [first, last] = [times[0], times.at(-1)].map((match) => Date.parse(match?.[1] ?? ""));
  return {
    memory: `${Math.round(Number(/VmRSS:\s*(\d+)/.exec(output)?.[1]) / 1024)} MB`,
    start: `${last! - first!} ms`,
  };
}

function print(rows: readonly Row[], concurrency: number): void {
  const references = rows.filter(({ contender }) => contender === nginx);
  const reference = delays.map(
    (_, index) =>
      references.reduce((sum, { results }) => sum + results[index]!.perSecond, 0) / references.length,
  );
  console.log(`New TLS connections per second, ${concurrency} clients, ${pingooSaid()}`);
  console.log("(ratio to nginx in the same run; median time to the first byte)\n");
  console.log(`| | ${delays.map((delay) => `${delay} ms`).join(" | ")} | memory | start |`);
  console.log(`| --- | ${delays.map(() => "---").join(" | ")} | --- | --- |`);
  for (const { contender, results, memory = "", start = "" } of rows) {
    const cells = results.map(({ perSecond, median, failures }, index) => {
      const failed = failures > 0 ? `, ${failures} failed` : "";
      return `${Math.round(perSecond)} (${(perSecond / reference[index]!).toFixed(2)}; ${Math.round(median)} ms${failed})`;
    });
    console.log(`| ${contender.name} | ${cells.join(" | ")} | ${memory} | ${start} |`);
  }
}
