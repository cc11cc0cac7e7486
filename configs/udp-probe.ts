import { renderScript } from "./script";

/** Path of the probe in its container. */
export const udpProbeScript = "/opt/torrust/udp-probe.py";

/** Renders `udp-probe.py`, the probe for UDP trackers. */
export function renderUdpProbe(source: string, port: number): string {
  return renderScript(source, { PORT: String(port) });
}
