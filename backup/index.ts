/** Backs a stack's data up and puts it back, through the containers that the configuration key `backup` deploys. */

export { restoredParts, type RestoredPart } from "../configs/restore";
export { backUp } from "./backup";
export { fetchConfig } from "./config";
export { restore, type Restored, type RestoreOptions, type RestoreSource } from "./restore";
export { chooseSnapshot, listSnapshots, type Snapshot } from "./snapshots";
