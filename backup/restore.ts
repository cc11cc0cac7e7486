import type Docker from "dockerode";

import { mysqlDatabase } from "../configs/mysql";
import {
  fetchedFolder,
  replacedFolder,
  restoredParts,
  snapshotPaths,
  unfinishedFile,
  type RestoredPart,
} from "../configs/restore";
import { chooseSnapshot, listSnapshots, type Snapshot } from "./snapshots";
import { containersOf, type StackEngine } from "../docker/stack";
import { CommandError, type Progress } from "../terminal/terminal";
import { mysqlIn, startHelper, type RestoreHelper } from "./helper";
import { startServices, stopServices } from "./services";

/** Who uses a part. */
const users: Readonly<Record<RestoredPart, readonly string[]>> = {
  tls: ["pingoo"],
  letsencrypt: ["certbot", "nginx"],
  tracker: ["tracker"],
  grafana: ["grafana"],
};

/** Where what is put in place comes from. */
export type RestoreSource =
  | {
      readonly kind: "snapshot";
      /** Beginning of its identifier. @default the stack's newest */ readonly id?: string;
    }
  /** What the latest restore replaced. */
  | { readonly kind: "replaced" };

export interface RestoreOptions {
  readonly engine: StackEngine;
  readonly source: RestoreSource;
  /** Parts to restore. @default every one that there is */
  readonly only?: readonly RestoredPart[];
  readonly progress: Progress;
  /** Is asked before anything is stopped; what it rejects with ends the restore, with nothing touched. */
  readonly confirm?: (parts: readonly RestoredPart[], snapshot?: Snapshot) => Promise<void>;
  /** Ends the restore; what was begun is taken back. */
  readonly signal?: AbortSignal;
  /** The time by which what is replaced is kept. @default now */
  readonly now?: Date;
}

export interface Restored {
  readonly parts: readonly RestoredPart[];
  /** Folder in the backup's volume that keeps what was there before. */
  readonly keptIn: string;
}

/**
 * Puts data back: fetches all of it first, stops who uses it, keeps what is there aside, replaces it and starts everything
 * again. What fails on the way is taken back. A restore that was cut off leaves what was there before in its folder, where
 * the next one finds it.
 *
 * @throws {CommandError} with the reason, and what has become of the data
 */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const { engine, source, progress } = options;
  const step = progress.step("repository");
  step.update("waiting for a backup that runs");
  let helper: RestoreHelper | undefined;
  try {
    helper = await startHelper(engine);
    const unfinished = await helper.read(unfinishedFile);
    if (unfinished)
      progress.line(
        `  The restore of ${unfinished} was cut off. What was there before it is kept until this one is done.`,
      );
    step.update("fetching");
    // Chosen while no backup runs, which could remove it by its retention.
    const snapshot =
      source.kind === "snapshot"
        ? chooseSnapshot(await listSnapshots(engine), engine.prefix, source.id)
        : undefined;
    const available = snapshot
      ? await fetchSnapshot(helper, snapshot.id)
      : await findReplaced(helper, unfinished);
    const parts = chooseParts(available, helper.parts, options.only);
    step.succeed(`has ${parts.join(", ")}`);
    await options.confirm?.(parts, snapshot);
    return await replace(options, helper, available, parts, unfinished);
  } catch (error) {
    step.fail();
    throw error;
  } finally {
    await helper?.remove();
  }
}

/** Folder or file of each part that can be put in place. */
type Available = ReadonlyMap<RestoredPart | "mysql", string>;

async function fetchSnapshot(helper: RestoreHelper, id: string): Promise<Available> {
  const { stdout } = await helper.run("fetch", id).catch((error: Error) => {
    throw new CommandError(
      `Snapshot ${id.slice(0, 8)} cannot be fetched, nothing was touched: ${error.message}`,
    );
  });
  const found = stdout.split("\n");
  const all = [...restoredParts, "mysql" as const];
  return new Map(
    all
      .filter((part) => found.includes(part))
      .map((part) => [part, `${fetchedFolder}${snapshotPaths[part]}`]),
  );
}

async function findReplaced(helper: RestoreHelper, unfinished: string): Promise<Available> {
  const time = unfinished || (await helper.list(replacedFolder)).sort().pop();
  const folder = `${replacedFolder}/${time}`;
  const names = time ? await helper.list(folder) : [];
  const found = restoredParts
    .filter((part) => names.includes(part))
    .map((part) => [part, `${folder}/${part}`] as const);
  if (names.includes("tracker.sql")) return new Map([...found, ["mysql", `${folder}/tracker.sql`]]);
  if (found.length === 0) throw new CommandError("There is no restore to take back.", 2);
  return new Map(found);
}

function chooseParts(
  available: Available,
  inStack: ReadonlySet<RestoredPart>,
  only: readonly RestoredPart[] = restoredParts,
): RestoredPart[] {
  const there = (part: RestoredPart) => available.has(part) || (part === "tracker" && available.has("mysql"));
  const parts = only.filter((part) => there(part) && inStack.has(part));
  if (parts.length > 0) return parts;
  const has = restoredParts.filter(there).join(", ") || "nothing";
  throw new CommandError(
    `There is nothing to restore: what was asked for is ${only.join(", ")}, the backup has ${has}, the stack has ${[...inStack].join(", ")}.`,
    2,
  );
}

async function replace(
  options: RestoreOptions,
  helper: RestoreHelper,
  available: Available,
  parts: readonly RestoredPart[],
  unfinished: string,
): Promise<Restored> {
  const { engine, progress, signal } = options;
  const containers = await containersOf(engine);
  const dump = parts.includes("tracker") ? dumpContainer(containers, available) : undefined;
  const time = timeName(options.now ?? new Date());
  const mover = moverOf(engine, helper, dump, time);
  const services = parts.flatMap((part) => users[part].flatMap((service) => containers.get(service) ?? []));
  await stopServices(engine, services, progress);
  const touched: RestoredPart[] = [];
  const step = progress.step("data");
  try {
    if (!unfinished) await helper.run("begin", time);
    for (const part of parts) {
      step.update(`keeping ${part} as it is`);
      signal?.throwIfAborted();
      await mover.keep(part);
    }
    for (const part of parts) {
      step.update(`putting ${part} in place`);
      signal?.throwIfAborted();
      touched.push(part);
      await mover.place(part, available.get(mover.isDump(part) ? "mysql" : part)!);
    }
    await helper.run("done");
    step.succeed(`${parts.join(", ")} restored; what was there before is kept`);
  } catch (error) {
    step.fail();
    const said = error instanceof Error ? error.message : String(error);
    const reason = signal?.aborted ? "it was interrupted" : said;
    await takeBack(engine, mover, touched, services, reason);
    // Unless an earlier one is unfinished, everything is as it was.
    if (!unfinished) await helper.run("done");
    await startServices(engine, services, progress);
    throw new CommandError(`The restore failed, and everything is as it was before: ${reason}`);
  }
  await startServices(engine, services, progress);
  return { parts, keptIn: mover.keptIn };
}

/**
 * The container that reaches MySQL, where the tracker's database is one.
 *
 * @throws {CommandError} where the backup has another kind of database than the stack
 */
function dumpContainer(
  containers: Awaited<ReturnType<typeof containersOf>>,
  available: Available,
): string | undefined {
  const mysql = containers.has("mysql");
  if (mysql !== available.has("mysql"))
    throw new CommandError(
      `The backup has the tracker's database for ${mysql ? "SQLite" : "MySQL"}, the stack uses ${mysql ? "MySQL" : "SQLite"}: set database accordingly, or leave the tracker out by --only.`,
      2,
    );
  if (!mysql) return undefined;
  const dump = containers.get("backup-dump");
  if (!dump)
    throw new CommandError("The container that reaches MySQL is not there. Deploy the stack again.", 2);
  return dump.Id;
}

/** Keeps parts aside and puts them in place, each by who can reach it. */
interface Mover {
  /** Folder in the backup's volume for what was there before. */
  readonly keptIn: string;
  /** Whether a part is a dump of a database and not a folder. */
  isDump(part: RestoredPart): boolean;
  keep(part: RestoredPart): Promise<void>;
  place(part: RestoredPart, from: string): Promise<void>;
  /** Puts back what was kept. */
  putBack(part: RestoredPart): Promise<void>;
}

function moverOf(engine: StackEngine, helper: RestoreHelper, dump: string | undefined, time: string): Mover {
  const keptIn = `${replacedFolder}/${time}`;
  const kept = `${keptIn}/tracker.sql`;
  const isDump = (part: RestoredPart) => part === "tracker" && dump !== undefined;
  const place = async (part: RestoredPart, from: string) => {
    if (dump && isDump(part)) await mysqlIn(engine.docker, dump, "place", mysqlDatabase, from);
    else await helper.run("place", from, part);
  };
  return {
    keptIn,
    isDump,
    async keep(part) {
      if (dump && isDump(part)) await mysqlIn(engine.docker, dump, "keep", mysqlDatabase, kept);
      else await helper.run("keep", time, part);
    },
    place,
    putBack: (part) => place(part, isDump(part) ? kept : `${keptIn}/${part}`),
  };
}

/** @throws {CommandError} when something cannot be put back: then the services stay stopped, and all is kept */
async function takeBack(
  { prefix }: StackEngine,
  mover: Mover,
  touched: readonly RestoredPart[],
  services: readonly Docker.ContainerInspectInfo[],
  reason: string,
): Promise<void> {
  const stuck: string[] = [];
  for (const part of touched)
    await mover.putBack(part).catch((failed: Error) => stuck.push(`${part}: ${failed.message}`));
  if (stuck.length === 0) return;
  const names = services.map(({ Name }) => Name.slice(1)).join(", ");
  throw new CommandError(
    `The restore failed: ${reason}. What was there before could not be put back (${stuck.join("; ")}). It is kept whole in ${mover.keptIn} of the volume ${prefix}-backup; ${names} stay stopped. Put the cause right, then run: npm run restore -- --undo`,
  );
}

/** A name that sorts by time: `20260102T030405Z`. */
function timeName(time: Date): string {
  return time.toISOString().replace(/[-:]|\.\d+/g, "");
}
