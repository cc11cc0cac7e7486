import { benchAnnounces } from "./announces";
import { benchDeploy } from "./deploy";
import { benchGrowth } from "./growth";
import { benchPlan } from "./plan";
import { benchStalls } from "./stalls";
import { benchSwarm } from "./swarm";
import { benchSwitch } from "./switch";
import { benchTls } from "./tls";

const benches: Readonly<Record<string, () => Promise<void>>> = {
  announces: benchAnnounces,
  deploy: benchDeploy,
  growth: benchGrowth,
  plan: benchPlan,
  stalls: benchStalls,
  swarm: benchSwarm,
  switch: benchSwitch,
  tls: benchTls,
};

/** `npm run bench -- <name>`: measures one thing on this machine and prints it as a table. */
async function main(name: string | undefined) {
  const bench = benches[name ?? ""];
  if (!bench) throw new Error(`Say what to measure: ${Object.keys(benches).join(", ")}`);
  await bench();
}

main(process.argv[2]).catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
