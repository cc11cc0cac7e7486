import js from "@eslint/js";
import pulumi from "@pulumi/eslint-plugin";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["node_modules/", ".state/", "coverage/"] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  {
    files: ["**/*.ts"],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { "@pulumi": pulumi },
    rules: {
      "@pulumi/no-output-instance-in-template-literal": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true },
      ],
      eqeqeq: "error",
      "max-lines": ["error", 400],
      "max-lines-per-function": ["error", { max: 60, skipBlankLines: true, skipComments: true }],
    },
  },
  // A suite is one function by its form.
  { files: ["test/**/*.ts"], rules: { "max-lines-per-function": "off" } },
  // Still to be brought into line.
  {
    files: [
      "test/e2e/{guard,hybrid,rules,stack}.test.ts",
      "test/stand-ins/hetzner/api.ts",
      "test/unit/settings/settings.test.ts",
      "test/unit/stand-ins/stand-ins.test.ts",
      "test/unit/verify/deployment.test.ts",
    ],
    rules: { "max-lines": "off", "max-lines-per-function": "off" },
  },
  ...rooms(),
);

/** The rooms of CONTRIBUTING.md's table, and that a file of each imports from none but those that it may know. */
function rooms() {
  const page = readFileSync(join(import.meta.dirname, "CONTRIBUTING.md"), "utf8");
  const rows = [...page.matchAll(/^\| `([\w.]+)\/?` +\|[^|]*\| (.*?) +\|$/gm)];
  if (rows.length === 0) throw new Error("CONTRIBUTING.md has no table of rooms");
  const names = rows.map(([, room]) => room);
  return rows.flatMap(([, room, cell]) => {
    const named = [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name);
    const known = cell.startsWith("all") ? names.filter((name) => !named.includes(name)) : named;
    return room.endsWith(".ts")
      ? [boundary(room, `^\\./`, known)]
      : [1, 2, 3].map((depth) =>
          boundary(`${room}/${"*/".repeat(depth - 1)}*.ts`, `^${"\\.\\./".repeat(depth)}`, [room, ...known]),
        );
  });
}

/** @param way what leads from the file out of its room, as a regular expression */
function boundary(files, way, known) {
  const regex = `${way}(?!(${known.join("|")})(/|$))`;
  const message = "This room may not know that one: see the table in CONTRIBUTING.md.";
  const selector = (node) => `${node}=/${regex.replaceAll("/", "\\/")}/`;
  return {
    files: [files],
    rules: {
      "no-restricted-imports": ["error", { patterns: [{ regex, message }] }],
      "no-restricted-syntax": [
        "error",
        { selector: `ImportExpression[${selector("source.value")}]`, message },
        { selector: `TSImportType[${selector("argument.literal.value")}]`, message },
      ],
    },
  };
}
