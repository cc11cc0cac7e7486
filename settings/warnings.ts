import type { Settings } from "./types";

/** Seconds between two announces that newTrackon, by whose list clients find public trackers, takes. */
const listedInterval = { least: 300, most: 10_800 };

/** What is allowed and yet costs more than one might think, a sentence or two each. Pure. */
export function warningsOf({ tracker }: Settings): string[] {
  const { announceInterval: interval, countDownloads, schemaVersion } = tracker;
  return [
    ...(interval < listedInterval.least || interval > listedInterval.most
      ? [
          `announceInterval is ${interval} s. newTrackon takes trackers with ${listedInterval.least} to ${listedInterval.most} s only, and does not list this one.`,
        ]
      : []),
    ...(countDownloads && schemaVersion === "2.0.0"
      ? [
          "countDownloads is on. Tracker 3.0.0 then writes each new torrent to its database before it answers (a hundred a second instead of thousands), never forgets one again, and loses the counts at each restart all the same. To do without: pulumi config set countDownloads false",
        ]
      : []),
  ];
}
