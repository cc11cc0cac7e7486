import * as pulumi from "@pulumi/pulumi";

import { TrackerDeployment } from "../../../components/deployment";
import { project, settingsOf } from "./config";

/** A resource as the program registered it, with what the mock monitor does not tell. */
export interface Registered {
  readonly type: string;
  readonly name: string;
  readonly parent?: string;
  readonly urn: pulumi.Output<string>;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly inputs: any;
  readonly options: pulumi.CustomResourceOptions;
}

export interface Deployed {
  readonly deployment: TrackerDeployment;
  readonly resources: readonly Registered[];
  /** The container of a service. */
  container(service: string): Registered["inputs"];
  /** Text of a file uploaded into a service's container. */
  file(service: string, path: string): string;
}

export interface UploadedFile {
  readonly file: string;
  readonly content: string;
  readonly permissions: string;
}

/** Registers a whole deployment on a mock monitor that knows no call, and waits until every resource is there. */
export async function deploy(
  values: Record<string, unknown> = {},
  stack = "dev",
  preview = false,
): Promise<Deployed> {
  // The SDK keeps a stack trace of each promise; with source maps these take three quarters of the time.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return await register(values, stack, preview);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

async function register(values: Record<string, unknown>, stack: string, preview: boolean): Promise<Deployed> {
  const inputs = new Map<string, Registered["inputs"]>();
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs: given }) => {
        inputs.set(`${type} ${name}`, given);
        const outputs = type.includes("RandomPassword")
          ? { result: `secret-of-${name}` }
          : { imageId: `id-of-${name}` };
        return { id: `${name}-id`, state: { ...given, ...outputs } };
      },
      call: ({ token }) => {
        throw new Error(`nobody should call ${token}`);
      },
    },
    project,
    stack,
    preview,
  );
  const spied: pulumi.ResourceTransformationArgs[] = [];
  const deployment = new TrackerDeployment("torrust", settingsOf(values, stack), {
    transformations: [(args) => void spied.push(args)],
  });
  await Promise.all(spied.map(({ resource }) => promised(resource.urn)));
  await pendingRegistrations();
  const resources = spied.map(({ type, name, opts, resource }) => ({
    type,
    name,
    urn: resource.urn,
    parent: (opts.parent as unknown as { __name?: string } | undefined)?.__name,
    inputs: inputs.get(`${type} ${name}`),
    options: opts,
  }));
  const container = (service: string) => {
    const found = resources.find(
      ({ type, inputs }) => type.endsWith(":Container") && inputs.hostname === service,
    );
    if (!found)
      throw new Error(`no container ${service} among ${resources.map(({ name }) => name).join(", ")}`);
    return plain(found.inputs);
  };
  return {
    deployment,
    resources,
    container,
    file: (service, path) => {
      const found = (container(service).uploads as UploadedFile[]).find(({ file }) => file === path);
      if (!found) throw new Error(`no ${path} in ${service}`);
      return found.content;
    },
  };
}

/** Until components have registered their outputs, too; a function of the runtime that its types leave out. */
function pendingRegistrations(): Promise<void> {
  return (pulumi.runtime as unknown as { waitForRPCs(): Promise<void> }).waitForRPCs();
}

/** The value of an output, however it got there. */
export function promised<T>(output: pulumi.Output<T>): Promise<T> {
  return new Promise((resolve) => void output.apply(resolve));
}

const secretSignature = "4dabf18193072939515e22adb298388d";

/** Whether the monitor was told that an input is secret. */
export function isSecret(input: unknown): boolean {
  return typeof input === "object" && input !== null && secretSignature in input;
}

/** Inputs as the monitor sees them, with the secrets' wrapping taken off. */
function plain(value: unknown): Registered["inputs"] {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  if (secretSignature in value && "value" in value) return plain(value.value);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}
