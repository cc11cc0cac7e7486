import type Docker from "dockerode";

import { ignoring, ownedContainers } from "../docker/calls";
import type { Creation, ResourceRequest } from "../program/monitor";
import { reveal } from "../program/secrets";
import { removeContainer } from "./containers";
import type { EngineRun } from "./run";
import { networkSpec } from "./specs";

/** Makes a network, or keeps one that was made from the same inputs. */
export async function makeNetwork(run: EngineRun, resource: ResourceRequest): Promise<Creation> {
  const inputs = reveal(resource.inputs) as Record<string, unknown>;
  const spec = networkSpec(inputs, resource.name);
  const hash = run.state.hash(inputs);
  const found = (await run.docker.listNetworks({ filters: { name: [spec.Name] } })).find(
    ({ Name }) => Name === spec.Name,
  );
  if (found) {
    if (run.isUnchanged(found.Labels, "network", spec.Name, hash)) {
      run.counts.kept++;
      return networkState(run.docker, found.Id);
    }
    await removeNetwork(run, spec.Name, found.Id);
  }
  return run.step(`network ${spec.Name}`, async (step) => {
    const { id } = await run.docker.createNetwork({
      ...spec,
      CheckDuplicate: true,
      Labels: run.labels(spec.Labels, hash),
    });
    run.done(step, found !== undefined);
    return networkState(run.docker, id);
  });
}

async function networkState(docker: Docker, id: string): Promise<Creation> {
  const { Name, Driver, Scope, Internal } = (await docker
    .getNetwork(id)
    .inspect()) as Docker.NetworkInspectInfo;
  return { id, state: { name: Name, driver: Driver, scope: Scope, internal: Internal } };
}

/** Removes a network, and before it the containers that are in it. */
export async function removeNetwork(run: EngineRun, name: string, id: string): Promise<void> {
  const network = run.docker.getNetwork(id);
  const { Containers = {} } = (await network.inspect()) as Docker.NetworkInspectInfo;
  const owned = await ownedContainers(run.docker, run.stack);
  // A container that is stopped is not listed as a member, but starts no more once its network is gone.
  const members = owned.filter(({ id: own, networks }) => own in Containers || networks.includes(name));
  await Promise.all(members.map((member) => removeContainer(run, member, "its network changes")));
  await ignoring(404, network.remove());
  run.progress.line(`  - network ${name} removed`);
}
