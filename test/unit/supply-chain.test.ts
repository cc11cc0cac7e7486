import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { subset } from "semver";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { defaultImages } from "../../stack/images";
import { problemsOf, root } from "./support/config";

const folder = join(root, ".github/workflows");
const workflows = readdirSync(folder).map(
  (file) => [file, readFileSync(join(folder, file), "utf8")] as const,
);

describe.each(workflows)("the workflow %s", (_file, text) => {
  it("uses actions by their commit, and says which version that is", () => {
    const uses = text.split("\n").filter((line) => /^\s*(- )?uses:/.test(line));
    expect(uses.length).toBeGreaterThan(0);
    for (const line of uses) expect(line).toMatch(/uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  it("may read the repository and nothing else", () => {
    expect(parse(text)).toMatchObject({ permissions: { contents: "read" } });
  });
});

it("known vulnerabilities of the packages are looked up each week, and when their versions change", () => {
  const [, text] = workflows.find(([file]) => file === "supply-chain.yml")!;
  const { on, jobs } = parse(text) as {
    on: { schedule: unknown[]; push: { paths: string[] } };
    jobs: { packages: { steps: { run?: string }[] } };
  };
  expect(on.schedule).toHaveLength(1);
  expect(on.push.paths).toContain("package-lock.json");
  expect(jobs.packages.steps.map(({ run }) => run)).toContain("npm audit");
});

it("each package runs on every Node that package.json names", () => {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, { engines?: { node?: string }; optional?: boolean }>;
  };
  const own = packages[""]!.engines!.node!;
  // npm leaves out in silence what is optional and does not fit.
  const unfit = Object.entries(packages).filter(
    ([, { engines, optional }]) => engines?.node && !optional && !subset(own, engines.node),
  );
  expect(unfit.map(([path, { engines }]) => [path, engines?.node])).toEqual([]);
});

const renovate = JSON.parse(readFileSync(join(root, "renovate.json"), "utf8")) as {
  customManagers: { matchStrings: string[] }[];
  packageRules: { matchPackageNames: string[]; allowedVersions?: string }[];
};

it("Renovate finds each of the images", () => {
  const { customManagers } = renovate;
  const pattern = new RegExp(customManagers[0]!.matchStrings[0]!, "g");
  const found = [...readFileSync(join(root, "stack/images.ts"), "utf8").matchAll(pattern)].map(
    ({ groups }) => {
      const { depName, currentValue, currentDigest } = groups!;
      return `${depName}:${currentValue}${currentDigest ? `@${currentDigest}` : ""}`;
    },
  );
  expect(found.sort()).toEqual(Object.values(defaultImages).sort());
});

it("Renovate proposes no Pingoo that the settings refuse", () => {
  const rule = renovate.packageRules.find(({ matchPackageNames }) =>
    matchPackageNames.includes("pingooio/pingoo"),
  );
  // A leading ! makes it a list of what is not allowed.
  const [, refused] = /^!\/(.+)\/$/.exec(rule?.allowedVersions ?? "") ?? [];
  for (const version of ["0.14.7", "0.14.8", "0.14.9", "0.14.10", "0.15.0"]) {
    const problems = problemsOf({ images: { pingoo: `pingooio/pingoo:${version}` } });
    expect([version, new RegExp(refused!).test(version)]).toEqual([version, problems.length > 0]);
  }
});
