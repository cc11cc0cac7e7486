import {
  BytesIEC,
  BytesPerSecondSI,
  PercentUnit,
  Seconds,
  Short,
} from "@grafana/grafana-foundation-sdk/units";

import { dashboard, info, judged, series, shares, stat, type Dashboard, type Row } from "./panels";

/** The host's processors, memory, disks and clock, and what is wrong anywhere. */
export function hostDashboard(): Dashboard {
  return dashboard("host.json", "torrust-host", "Host", [now(), load(), disks()]);
}

/** The colours change where alerts fire. */
function now(): Row {
  return {
    title: "Now",
    panels: [
      judged(
        stat(
          "Memory available",
          "Memory that programs may still take.",
          PercentUnit,
          "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
        ),
        "red",
        [0.1, "green"],
      ),
      judged(
        stat(
          "Disk free",
          "The disks that hold Docker's folder and the volumes.",
          PercentUnit,
          "min by (device) (node_filesystem_avail_bytes / node_filesystem_size_bytes)",
          "{{device}}",
        ),
        "red",
        [0.1, "green"],
      ),
      judged(
        stat(
          "Clock offset",
          "How far the clock is off, as the kernel's time service sees it.",
          Seconds,
          "node_timex_offset_seconds",
        ),
        "red",
        [-0.05, "green"],
        [0.05, "red"],
      ),
      info(
        "Firing alerts",
        "The Watchdog always fires: it shows that alerting works.",
        'ALERTS{alertstate="firing"}',
        "{{alertname}} {{instance}}",
      ),
    ],
  };
}

function load(): Row {
  return {
    title: "Processors and memory",
    panels: [
      shares("Processors", "Share of the time in which they were busy.", [
        {
          expr: '1 - avg(rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))',
          legend: "busy",
        },
      ]),
      series("Load", "Programs that run or wait, on average.", Short, [
        { expr: "node_load1", legend: "1 minute" },
        { expr: "node_load15", legend: "15 minutes" },
      ]).min(0),
      series("Memory", "Available and all there is.", BytesIEC, [
        { expr: "node_memory_MemAvailable_bytes", legend: "available" },
        { expr: "node_memory_MemTotal_bytes", legend: "total" },
      ]).min(0),
    ],
  };
}

function disks(): Row {
  return {
    title: "Disks",
    panels: [
      series("Free space", "What programs may still write.", BytesIEC, [
        { expr: "min by (device) (node_filesystem_avail_bytes)", legend: "{{device}}" },
      ]).min(0),
      series("Traffic", "Bytes per second, read and written.", BytesPerSecondSI, [
        { expr: "sum(rate(node_disk_read_bytes_total[$__rate_interval]))", legend: "read" },
        { expr: "sum(rate(node_disk_written_bytes_total[$__rate_interval]))", legend: "written" },
      ]).min(0),
    ],
  };
}
