import { expect, it } from "vitest";

import { deploy } from "../support/deploy";

it("loads Grafana's library where there is a Grafana, as it takes its time", async () => {
  const loaded = () => Object.keys(require.cache).some((path) => path.includes("grafana-foundation-sdk"));
  await deploy();
  expect(loaded()).toBe(false);
  const { file } = await deploy({ grafana: true, grafanaDomain: "grafana.torrust.org" });
  expect(loaded()).toBe(true);
  const path = "/etc/grafana/provisioning/dashboards/torrust/tracker.json";
  expect(JSON.parse(file("grafana", path))).toMatchObject({ uid: "torrust-tracker" });
});
