import type Docker from "dockerode";

import type { TestStack } from "./engine";

/** As a lost machine leaves it: no container, no volume, no network. Generated values are still in the state. */
export async function removeEverything(stack: TestStack, guest?: Docker.Container): Promise<void> {
  const { docker, name } = stack;
  const ours = (text: string) => text.replace(/^\//, "").startsWith(`torrust-pingoo-${name}-`);
  for (const { Id, Names } of await docker.listContainers({ all: true }))
    if (Names.some(ours)) await docker.getContainer(Id).remove({ force: true, v: true });
  const networks = (await docker.listNetworks()).filter(({ Name }) => ours(Name));
  for (const { Id, Name } of networks) {
    if (guest && Name.endsWith("-edge"))
      await docker.getNetwork(Id).disconnect({ Container: guest.id, Force: true });
    await docker.getNetwork(Id).remove();
  }
  for (const { Name } of (await docker.listVolumes()).Volumes)
    if (ours(Name)) await docker.getVolume(Name).remove();
}
