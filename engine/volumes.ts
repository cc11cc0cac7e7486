import type Docker from "dockerode";

import { absentWhen, ownerLabel } from "../docker/calls";
import type { Creation, ResourceRequest } from "../program/monitor";
import { reveal } from "../program/secrets";
import { inputsLabel, type EngineRun } from "./run";
import { volumeSpec } from "./specs";

/** Makes a volume; one that is there stays as it is, for its data. */
export async function makeVolume(run: EngineRun, resource: ResourceRequest): Promise<Creation> {
  const inputs = reveal(resource.inputs) as Record<string, unknown>;
  const spec = volumeSpec(inputs, resource.name);
  const hash = run.state.hash(inputs);
  const found = await absentWhen(404, run.docker.getVolume(spec.Name).inspect());
  run.state.protectVolume(spec.Name, resource.protect || resource.retainOnDelete);
  if (found) {
    const labels = found.Labels ?? {};
    if (labels[ownerLabel] !== run.stack)
      run.progress.line(
        `  volume ${spec.Name} was there before; its data is used, and it stays when the stack goes`,
      );
    else if (labels[inputsLabel] !== hash)
      run.progress.line(`  volume ${spec.Name} is declared otherwise now; it stays as it is, for its data`);
    run.counts.kept++;
    return volumeState(found);
  }
  return run.step(`volume ${spec.Name}`, async (step) => {
    await run.docker.createVolume({ ...spec, Labels: run.labels(spec.Labels, hash) });
    const made = await run.docker.getVolume(spec.Name).inspect();
    run.done(step, false);
    return volumeState(made);
  });
}

function volumeState({ Name, Driver, Mountpoint }: Docker.VolumeInspectInfo): Creation {
  return { id: Name, state: { name: Name, driver: Driver, mountpoint: Mountpoint } };
}
