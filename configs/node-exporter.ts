import { ports } from "../stack/names";

/** Where text files with metrics lie, in the container that reads them as in those that write them. */
export const textfileFolder = "/var/lib/torrust/metrics";

/**
 * What of a container is the host's own: /proc (processors, memory, load, pressure, disks' traffic), the kernel's clock,
 * and the file systems behind its mounts: those of Docker's folder and of the volumes.
 */
const collectors = [
  "cpu",
  "diskstats",
  "filesystem",
  "loadavg",
  "meminfo",
  "pressure",
  "stat",
  "textfile",
  "time",
  "timex",
  "uname",
  "vmstat",
];

/** The node exporter's command line. */
export function nodeExporterCommand(): string[] {
  return [
    `--web.listen-address=:${ports.nodeExporter}`,
    "--collector.disable-defaults",
    ...collectors.map((collector) => `--collector.${collector}`),
    `--collector.textfile.directory=${textfileFolder}`,
    // Docker mounts three files of its own folder into each container; one of them will do.
    "--collector.filesystem.mount-points-exclude=^/(dev|proc|sys|run|etc/hosts|etc/resolv.conf)($|/)",
  ];
}
