import type { NetworkCreateOptions, VolumeCreateOptions } from "dockerode";

import {
  boolean,
  fields,
  given,
  labelMap,
  list,
  optionalText,
  SpecError,
  text,
  textMap,
  unsupported,
  withoutEmpty,
  type Fields,
} from "./fields";

/** @throws {SpecError} naming the field */
export function networkSpec(inputs: Fields, fallbackName: string): NetworkCreateOptions & { Name: string } {
  const spec: Record<string, unknown> & { Name: string } = { Name: fallbackName };
  const ipam: Record<string, unknown> = {};
  const known: Record<string, (value: unknown) => void> = {
    name: (value) => (spec.Name = text(value, "name")),
    driver: (value) => (spec.Driver = text(value, "driver")),
    internal: (value) => (spec.Internal = boolean(value, "internal")),
    attachable: (value) => (spec.Attachable = boolean(value, "attachable")),
    ipv6: (value) => (spec.EnableIPv6 = boolean(value, "ipv6")),
    options: (value) => (spec.Options = textMap(value, "options")),
    labels: (value) => (spec.Labels = labelMap(value, "labels")),
    ipamDriver: (value) => (ipam.Driver = text(value, "ipamDriver")),
    ipamOptions: (value) => (ipam.Options = textMap(value, "ipamOptions")),
    ipamConfigs: (value) =>
      (ipam.Config = list(value, "ipamConfigs").map((item, at) => {
        const config = fields(item, at, ["subnet", "gateway", "ipRange", "auxAddress"]);
        return withoutEmpty({
          Subnet: optionalText(config.subnet, `${at}.subnet`),
          Gateway: optionalText(config.gateway, `${at}.gateway`),
          IPRange: optionalText(config.ipRange, `${at}.ipRange`),
          AuxiliaryAddresses: config.auxAddress && textMap(config.auxAddress, `${at}.auxAddress`),
        });
      })),
  };
  for (const [field, value] of given(inputs)) {
    const translate = known[field];
    if (!translate) throw new SpecError(field, unsupported);
    translate(value);
  }
  return { ...spec, ...(Object.keys(ipam).length > 0 ? { IPAM: ipam } : {}) } as NetworkCreateOptions & {
    Name: string;
  };
}

/** @throws {SpecError} naming the field */
export function volumeSpec(inputs: Fields, fallbackName: string): VolumeCreateOptions & { Name: string } {
  const spec: VolumeCreateOptions & { Name: string } = { Name: fallbackName };
  for (const [field, value] of given(inputs)) {
    if (field === "name") spec.Name = text(value, field);
    else if (field === "driver") spec.Driver = text(value, field);
    else if (field === "driverOpts") spec.DriverOpts = textMap(value, field);
    else if (field === "labels") spec.Labels = labelMap(value, field);
    else throw new SpecError(field, unsupported);
  }
  return spec;
}

/** How to build an image. */
export interface BuildSpec {
  /** Folder below the program's. */
  readonly context: string;
  readonly dockerfile?: string;
  readonly buildArgs?: Readonly<Record<string, string>>;
}

/** An image as it is to be pulled or built. */
export interface ImageSpec {
  readonly reference: string;
  readonly platform?: string;
  readonly build?: BuildSpec;
}

const imageFields = ["name", "keepLocally", "forceRemove", "platform", "pullTriggers", "triggers", "build"];

/** @throws {SpecError} naming the field that is wrong or cannot be had here */
export function imageSpec(inputs: Fields): ImageSpec {
  for (const [field] of given(inputs))
    if (!imageFields.includes(field)) throw new SpecError(field, unsupported);
  return {
    reference: String(inputs.name),
    platform: typeof inputs.platform === "string" ? inputs.platform : undefined,
    build: inputs.build === undefined ? undefined : buildSpec(inputs.build),
  };
}

function buildSpec(value: unknown): BuildSpec {
  // Which builder makes no difference to what is built.
  const build = fields(value, "build", ["context", "dockerfile", "buildArgs", "useLegacyBuilder"]);
  return {
    context: text(build.context, "build.context"),
    dockerfile: optionalText(build.dockerfile, "build.dockerfile"),
    buildArgs: build.buildArgs === undefined ? undefined : textMap(build.buildArgs, "build.buildArgs"),
  };
}
