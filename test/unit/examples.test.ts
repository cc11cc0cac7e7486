import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

import { planStack, toJson } from "../../plan";
import { root } from "./support/config";

const files = [
  ...readdirSync(join(root, "examples")).map((file) => join("examples", file)),
  ...readdirSync(root).filter((file) => /^Pulumi\..+\.yaml$/.test(file)),
];

it.each(files)("%s is a stack that can be planned", async (file) => {
  const planned = await planStack({ file: join(root, file) });
  if ("problems" in planned) throw new Error(JSON.stringify(planned.problems, null, 2));
  const plan = toJson(planned.result, planned.files);
  expect(plan.files).toHaveProperty(["tracker:/etc/torrust/tracker/tracker.toml"]);
  const { mode, urls } = plan.outputs as { mode: string; urls: { api?: string } };
  expect("pingoo:/etc/pingoo/pingoo.yml" in plan.files).toBe(mode !== "none");
  expect(urls.api === undefined).toBe(mode === "none");
});
