import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A script of this folder that is run in a container or on a machine. */
export type ScriptName =
  | "backup.sh"
  | "certbot.sh"
  | "data-volume.sh"
  | "door.sh"
  | "dump.sh"
  | "grafana-start.sh"
  | "host-setup.sh"
  | "restore.sh"
  | "snapshot.py"
  | "udp-probe.py";

/** Reads a script for `renderScript`: it travels alone, so what it sources stands in its place. */
export function readScript(name: ScriptName): string {
  return read(name).replace(/^# shellcheck source=(\S+)\n.*\n/gm, (_, sourced: string) => read(sourced));
}

const read = (file: string) => readFileSync(join(__dirname, file), "utf8");
