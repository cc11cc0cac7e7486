import { buildImages, imageNames, type ImageName } from "./build";

/** `tsx test/images/cli.ts [names…]`: builds the test images and prints their references. */
async function main(names: readonly string[]) {
  const unknown = names.filter((name) => !(imageNames as readonly string[]).includes(name));
  if (unknown.length > 0) throw new Error(`no such image: ${unknown.join(", ")} (${imageNames.join(", ")})`);
  const only = names.length > 0 ? (names as readonly ImageName[]) : imageNames;
  const references = await buildImages({ only, log: (line) => console.error(line) });
  for (const name of only) console.log(`${name} ${references[name]}`);
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
