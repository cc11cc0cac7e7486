import type { Alert } from "./alerts";

/** Bytes that the tracker's process holds. */
export const trackerMemoryMetric = "torrust_tracker_memory_bytes";

/**
 * The tracker's health check, which besides leaves what the tracker's process holds as a metric: nobody outside the container
 * can see that, and the tracker's own statistics take seconds where there are a million torrents.
 *
 * @param metricsFolder where the text file goes, for the node exporter
 */
export function trackerHealthCommand(healthPort: number, metricsFolder: string): string[] {
  const file = `${metricsFolder}/tracker.prom`;
  const text = `# HELP ${trackerMemoryMetric} Memory that the tracker holds.\\n# TYPE ${trackerMemoryMetric} gauge\\n${trackerMemoryMetric} %s\\n`;
  const script = `while read -r key kilobytes _; do
  [ "$key" = RssAnon: ] || continue
  printf '${text}' "$((kilobytes * 1024))" >${file}.new && mv ${file}.new ${file}
done </proc/1/status
exec /usr/bin/http_health_check http://127.0.0.1:${healthPort}/health_check`;
  return ["/bin/sh", "-c", script];
}

/**
 * Fires while there is still time to do something.
 *
 * @param limit megabytes that the tracker may take; the machine may have less
 */
export function trackerMemoryAlert(limit: number): Alert {
  const available = 'node_memory_MemAvailable_bytes{job="node"}';
  const ofLimit = `${trackerMemoryMetric} / ${limit * 2 ** 20}`;
  const ofMachine = `${trackerMemoryMetric} / (${trackerMemoryMetric} + ${available})`;
  return {
    name: "TrackerMemory",
    expr: `${ofLimit} > 0.8 or ${ofMachine} > 0.8`,
    severity: "warning",
    summary: "The tracker's memory is running out",
    description: `It holds {{ $value | humanizePercentage }} of what it can have: its limit is ${limit} MB, and the machine's own may be less. At 100 % the kernel ends it, and every swarm is gone until its peers announce again.`,
  };
}
