import { describe, expect, it } from "vitest";

import { settingsOf } from "../support/config";

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs me@laptop";
const machine = (serverType: string) => ({
  target: "hetzner",
  hetzner: { serverType, sshKeys: [key], sshAllowedFrom: ["203.0.113.7/32"] },
});
const grafana = { grafana: true, grafanaDomain: "grafana.torrust.org" };

describe("the tracker's memory", () => {
  it.each([
    ["of this machine's engine", {}, 8192],
    ["as configured", { trackerMemory: 3000 }, 3000],
    ["of a small server", machine("cx23"), 2944],
    ["of a large one", machine("ccx63"), 195_456],
    ["of one that runs nothing else", { ...machine("cx23"), prometheus: false }, 3328],
    ["of one that runs everything", { ...machine("cx23"), ...grafana, database: "mysql" }, 2048],
    ["of one that has hardly any", { ...machine("cpx11"), ...grafana, database: "mysql" }, 512],
    ["of a server type that nobody knows yet", machine("cx99"), 8192],
    ["as configured, whatever the server", { ...machine("cx23"), trackerMemory: 1000 }, 1000],
  ])("is that %s", (_what, values, megabytes) => {
    expect(settingsOf(values).tracker.memory).toBe(megabytes);
  });
});
