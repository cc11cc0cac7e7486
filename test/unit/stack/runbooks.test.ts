import { describe, expect, it } from "vitest";

import { runbooksUrl } from "../../../stack/runbooks";

describe("the runbooks", () => {
  it.each([
    "someone/tracker",
    "github:someone/tracker",
    "https://github.com/someone/tracker",
    "git+https://github.com/someone/tracker.git",
    { url: "git+ssh://git@github.com/someone/tracker.git" },
    { url: "https://user:secret@github.com/someone/tracker/" },
  ])("are in the repository that package.json names by %j", (repository) =>
    expect(runbooksUrl({ repository })).toBe("https://github.com/someone/tracker/blob/HEAD/docs/runbooks"),
  );

  it.each([
    ["gitlab:a/b", "https://gitlab.com/a/b/blob/HEAD/docs/runbooks"],
    ["https://gitlab.example.org/a/b/c.git", "https://gitlab.example.org/a/b/c/blob/HEAD/docs/runbooks"],
  ])("are found at GitLab: %s", (repository, url) => expect(runbooksUrl({ repository })).toBe(url));

  it.each([undefined, "", "https://code.example.org/a/b.git", "file:///srv/tracker", { url: "nowhere" }])(
    "have no address where it names %j",
    (repository) => expect(runbooksUrl({ repository })).toBeUndefined(),
  );
});
