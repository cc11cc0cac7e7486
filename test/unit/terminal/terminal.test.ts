import { describe, expect, test, vi } from "vitest";

import {
  createProgress,
  displayWidth,
  formatBytes,
  formatDuration,
  styleFor,
  table,
} from "../../../terminal/terminal";

describe("terminal", () => {
  test.each([
    [0, "0.0 s"],
    [449, "0.4 s"],
    [9940, "9.9 s"],
    [9960, "10 s"],
    [59_400, "59 s"],
    [59_600, "1 min 00 s"],
    [185_000, "3 min 05 s"],
    [-5, "0.0 s"],
  ])("%i ms are %s", (milliseconds, text) => expect(formatDuration(milliseconds)).toBe(text));

  test.each([
    [0, "0 B"],
    [999, "999 B"],
    [1500, "1.5 kB"],
    [117_000_000, "117 MB"],
    [999_999, "1.0 MB"],
  ])("%i bytes are %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  test("columns line up, whatever their letters and colours", () => {
    const red = (text: string) => `\u001b[31m${text}\u001b[39m`;
    expect(
      table(
        [
          [red("ab"), "1"],
          ["漢字", "2"],
          ["é", "3"],
          ["longer", ""],
        ],
        { indent: " " },
      ),
    ).toBe(` ${red("ab")}      1\n 漢字    2\n é       3\n longer`);
    expect([displayWidth("🎉"), displayWidth("e\u0301"), displayWidth("")]).toEqual([2, 1, 0]);
  });

  test("colours come on a terminal only, and not when unwanted", () => {
    const paint = (tty: boolean, environment: NodeJS.ProcessEnv) =>
      styleFor({ write: () => true, isTTY: tty }, environment).red("x");
    const coloured = "\u001b[31mx\u001b[39m";
    expect(paint(true, {})).toBe(coloured);
    expect(paint(true, { NO_COLOR: "1" })).toBe("x");
    expect(paint(true, { TERM: "dumb" })).toBe("x");
    expect(paint(false, {})).toBe("x");
    expect(paint(false, { FORCE_COLOR: "1" })).toBe(coloured);
    expect(paint(true, { FORCE_COLOR: "0" })).toBe("x");
  });

  test("progress prints a line per step without a terminal, and redraws one on a terminal", () => {
    vi.useFakeTimers();
    try {
      for (const isTTY of [false, true]) {
        let text = "";
        const progress = createProgress(
          { write: (part) => (text += part), isTTY, columns: 40 },
          { environment: {} },
        );
        const step = progress.step("image");
        step.update("pulling");
        vi.advanceTimersByTime(12_000);
        progress.line("between");
        step.succeed("done");
        step.fail("only the first end counts");
        progress.step("left open");
        progress.stop();
        // eslint-disable-next-line no-control-regex
        const shown = text.replace(/\r\u001b\[2K/g, "<erase>").replace(/\u001b\[\d+m/g, "");
        expect(shown).toContain("between\n");
        expect(shown).toContain("✓ image: done (12 s)\n");
        expect(shown).not.toContain("only the first");
        if (isTTY) expect(shown).toMatch(/image: pulling \(\d+\.\d s\)<erase>/);
        else expect(shown).toContain("… image: pulling (10 s)\n");
        expect(shown.includes("<erase>")).toBe(isTTY);
      }
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});
