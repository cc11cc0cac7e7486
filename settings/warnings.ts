import type { Settings } from "./types";

/** Seconds between two announces that newTrackon, by whose list clients find public trackers, takes. */
const listedInterval = { least: 300, most: 10_800 };

/** What is allowed and yet costs more than one might think, a sentence or two each. Pure. */
export function warningsOf(settings: Settings): string[] {
  return [...trackerWarnings(settings), ...hetznerWarnings(settings)];
}

function trackerWarnings({ tracker }: Settings): string[] {
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

function hetznerWarnings({ host, images, alerts }: Settings): string[] {
  if (host.kind !== "hetzner") return [];
  const { serverType } = host;
  const successor = successorOf(serverType);
  const mailServer = alerts?.receivers.email?.smtp;
  return [
    ...(successor
      ? [
          `hetzner.serverType ${serverType} is sold no longer: a server that has it keeps it, but none can be made of it. Its successor: pulumi config set --path hetzner.serverType ${successor}`,
        ]
      : []),
    ...(serverType.startsWith("cax") && /^(docker\.io\/)?torrust\/tracker[:@]/.test(images.tracker)
      ? [
          `hetzner.serverType ${serverType} is ARM, and ${images.tracker} is published for amd64 alone, so that it does not start. Set images.tracker to a build for arm64, or run: pulumi config set --path hetzner.serverType cx23`,
        ]
      : []),
    ...(mailServer && /:(25|465)$/.test(mailServer)
      ? [
          `alertReceivers.email.smtp is ${mailServer}. Hetzner blocks ports 25 and 465 for new accounts, and alerts would get nowhere. Take your mail server's port 587 if it has one: pulumi config set --path alertReceivers.email.smtp ${mailServer.replace(/\d+$/, "587")}`,
        ]
      : []),
  ];
}

/** The server type of about the same memory that is sold in place of one of the first two generations. */
function successorOf(serverType: string): string | undefined {
  if (serverType === "cx11") return "cx23";
  const [, family, size] = /^(cx|ccx)([1-6])[12]$/.exec(serverType) ?? [];
  return family && `${family}${size}3`;
}
