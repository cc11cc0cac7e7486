import * as pulumi from "@pulumi/pulumi";

import { createMasker, reveal, SecretValue, secretTexts, type Masker } from "./secrets";

/** A resource as the program declares it, before anything is done about it. */
export interface ResourceRequest {
  /** The SDK's identity of it: `urn:pulumi:<stack>::<project>::<types>::<name>`. */
  readonly urn: string;
  /** Type token, e.g. `docker:index/container:Container`. */
  readonly type: string;
  /** Logical name, e.g. `tracker`. */
  readonly name: string;
  /** URN of the parent; undefined for the stack itself. */
  readonly parent?: string;
  /** False for component resources, which only group others. */
  readonly custom: boolean;
  /** Inputs with every secret wrapped in a SecretValue. */
  readonly inputs: Readonly<Record<string, unknown>>;
  /** URNs that it waits for, explicit or through its inputs. */
  readonly dependsOn: readonly string[];
  readonly protect: boolean;
  readonly retainOnDelete: boolean;
  readonly deleteBeforeReplace: boolean;
}

/** A resource together with what became of it. */
export interface RegisteredResource extends ResourceRequest {
  /** Physical identifier; empty for components. */
  readonly id: string;
  /** Outputs, secrets wrapped; those of a component are the ones it registers. */
  readonly outputs: Readonly<Record<string, unknown>>;
}

/** What a backend answers: the physical identifier and the outputs beyond the inputs (SecretValue where secret). */
export interface Creation {
  readonly id: string;
  readonly state: Readonly<Record<string, unknown>>;
}

/** Does what a program asks for, for real or for show. */
export interface Backend {
  /** Called once for each custom resource, after everything it depends on exists. A rejection stops the program. */
  create(resource: ResourceRequest): Promise<Creation>;
}

export interface ProgramOptions {
  /** Loads and runs the program; its result are the stack's outputs. See {@link loadProgram}. */
  readonly program: () => unknown;
  readonly project: string;
  readonly stack: string;
  /** `namespace:key` to text, as the CLI hands it over. */
  readonly config: Readonly<Record<string, string>>;
  readonly secretKeys?: readonly string[];
  readonly backend: Backend;
  /** Leaves outputs that only the provider knows unknown, as in `pulumi preview`. Default false. */
  readonly preview?: boolean;
  /** Told what the program logs through `pulumi.log`. Default: stderr. */
  readonly log?: (severity: "info" | "warning" | "error", message: string) => void;
}

export interface ProgramResult {
  /** In the order of registration, the stack first. */
  readonly resources: readonly RegisteredResource[];
  /** The stack's outputs, secrets wrapped in SecretValue. */
  readonly outputs: Readonly<Record<string, unknown>>;
  /** Knows every secret of configuration, inputs and outputs that is a value of its own. */
  readonly masker: Masker;
}

/**
 * Runs a Pulumi program in this process, without CLI, engine or provider: registrations go to `backend` instead.
 *
 * One at a time, because the SDK keeps the monitor in a global. Calls of provider functions and reads of existing
 * resources are refused.
 *
 * @throws whatever the program threw first, be it in a callback of an output; the backend's error as it was
 */
export async function runProgram(options: ProgramOptions): Promise<ProgramResult> {
  const registry = new Registry(options.backend, options.stack, options.project);
  const stopListening = takeOver(options.log ?? logToStderr);
  try {
    await pulumi.runtime.setMocks(registry, options.project, options.stack, options.preview ?? false);
    attach(registry);
    pulumi.runtime.setAllConfig({ ...options.config }, [...(options.secretKeys ?? [])]);
    const finished = (async () => {
      await pulumi.runtime.runInPulumiStack(async () => await options.program());
      await pulumi.runtime.disconnect();
    })();
    await Promise.race([finished, stopListening.failure]);
    // Rejections that nobody waits for surface one turn of the event loop later.
    await Promise.race([nextTurn(), stopListening.failure]);
    if (registry.failure) throw registry.failure;
    return registry.result(options);
  } catch (error) {
    registry.stop();
    await registry.settled();
    await nextTurn();
    throw registry.failure ?? error;
  } finally {
    stopListening.done();
    pulumi.runtime.setAllConfig({}, []);
    pulumi.runtime.resetOptions("", "", -1, "", "", false, "");
  }
}

/**
 * A program to hand to {@link runProgram}: a CommonJS module whose exports are the stack's outputs. It is loaded
 * afresh each time with what it imports, save npm's packages, because a program registers its resources while it loads.
 *
 * @param path absolute path of the module
 * @param projectDir folder whose modules belong to the program
 */
export function loadProgram(path: string, projectDir: string): () => unknown {
  return () => {
    forget(path, projectDir);
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    return require(path) as unknown;
  };
}

function forget(path: string, projectDir: string): void {
  const loaded = require.cache[path];
  if (!loaded || !path.startsWith(`${projectDir}/`) || path.includes("/node_modules/")) return;
  delete require.cache[path];
  for (const { filename } of loaded.children) forget(filename, projectDir);
}

// ---- the registry behind the SDK

const { specialSigKey, specialSecretSig, specialResourceSig, unknownValue } = pulumi.runtime;

/** What is shown for a value that only the provider will know. */
export const unknown = "[unknown]";

/** The methods of the SDK's registration request that are read here; the generated class has many more. */
interface RegisterRequest {
  getType(): string;
  getName(): string;
  getParent(): string;
  getCustom(): boolean;
  getObject(): { toJavaScript(): Record<string, unknown> } | undefined;
  getDependenciesList(): string[];
  getProtect(): boolean;
  hasRetainondelete(): boolean;
  getRetainondelete(): boolean;
  getDeletebeforereplace(): boolean;
}

type Callback = (error: Error | null, response: unknown) => void;

class Registry implements pulumi.runtime.Mocks {
  readonly resources = new Map<string, RegisteredResource>();
  readonly #pending = new Set<Promise<unknown>>();
  #stopped = false;
  failure: unknown;

  constructor(
    private readonly backend: Backend,
    private readonly stack: string,
    private readonly project: string,
  ) {}

  async register(request: RegisterRequest): Promise<unknown> {
    const raw = request.getObject()?.toJavaScript() ?? {};
    const parent = request.getParent() || undefined;
    const resource: ResourceRequest = {
      urn: this.#urn(parent, request.getType(), request.getName()),
      type: request.getType(),
      name: request.getName(),
      parent,
      custom: request.getCustom(),
      inputs: fromWire(raw) as Record<string, unknown>,
      dependsOn: request.getDependenciesList(),
      protect: request.getProtect(),
      // The engine lets this option pass from parent to child, the SDK does not.
      retainOnDelete: request.hasRetainondelete()
        ? request.getRetainondelete()
        : (this.resources.get(parent ?? "")?.retainOnDelete ?? false),
      deleteBeforeReplace: request.getDeletebeforereplace(),
    };
    if (this.resources.has(resource.urn))
      throw new Error(`two resources of type ${resource.type} are called "${resource.name}"`);
    this.resources.set(resource.urn, { ...resource, id: "", outputs: {} });
    const creation = resource.custom ? await this.#create(resource) : { id: "", state: {} };
    this.resources.set(resource.urn, { ...resource, id: creation.id, outputs: { ...creation.state } });
    const state = { ...raw, ...(toWire(creation.state) as Record<string, unknown>) };
    return {
      getUrn: () => resource.urn,
      getId: () => creation.id,
      getObject: () => ({ toJavaScript: () => state }),
      getPropertydependenciesMap: () => undefined,
      getResult: () => 0,
      getUnknown: () => false,
    };
  }

  registerOutputs(urn: string, outputs: Record<string, unknown>): void {
    const resource = this.resources.get(urn);
    if (resource)
      this.resources.set(urn, { ...resource, outputs: fromWire(outputs) as Record<string, unknown> });
  }

  async #create(resource: ResourceRequest): Promise<Creation> {
    if (this.#stopped) throw new Error(`not created, because the program failed before`);
    const creation = this.backend.create(resource);
    this.#pending.add(creation);
    try {
      return await creation;
    } catch (error) {
      this.failure ??= error;
      this.#stopped = true;
      throw error;
    } finally {
      this.#pending.delete(creation);
    }
  }

  /** Lets no further resource begin. */
  stop(): void {
    this.#stopped = true;
  }

  /** Waits for what has begun. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending);
  }

  result(options: ProgramOptions): ProgramResult {
    const resources = [...this.resources.values()];
    const stack = resources.find(({ type }) => type === pulumi.runtime.rootPulumiStackTypeName);
    const sources = [
      ...(options.secretKeys ?? []).map((key) => options.config[key] ?? ""),
      ...resources.flatMap(({ outputs, custom }) => (custom ? secretTexts(outputs) : [])),
    ].filter((secret) => secret !== "");
    // An output made of a source, e.g. a URL with a token, is masked by it; any other is a source itself.
    const others = secretTexts(stack?.outputs ?? {}).filter(
      (text) => !sources.some((source) => text.includes(source)),
    );
    const secrets = [...sources, ...others];
    return { resources, outputs: stack?.outputs ?? {}, masker: createMasker(secrets) };
  }

  #urn(parent: string | undefined, type: string, name: string): string {
    const parentTypes = parent?.split("::")[2];
    const root = parentTypes === undefined || parentTypes === pulumi.runtime.rootPulumiStackTypeName;
    return `urn:pulumi:${this.stack}::${this.project}::${root ? type : `${parentTypes}$${type}`}::${name}`;
  }

  // The SDK's mock monitor wants these two; attach() leaves it only the first.
  call({ token }: pulumi.runtime.MockCallArgs): never {
    const message = `the program calls ${token}, which only the Pulumi CLI can answer`;
    // The SDK shows the details of an error of gRPC.
    throw Object.assign(new Error(message), { details: message });
  }

  newResource({ type, name }: pulumi.runtime.MockResourceArgs): never {
    throw new Error(`the program reads the existing ${type} "${name}", which only the Pulumi CLI can do`);
  }
}

/**
 * Puts the registry in place of the mock monitor's own, which hands its mocks neither parents nor options and blurs
 * secrets to whole properties.
 */
function attach(registry: Registry): void {
  const monitor = pulumi.runtime.getMonitor() as unknown as {
    registerResource(request: RegisterRequest, callback: Callback): void;
    registerResourceOutputs(
      request: { getUrn(): string; getOutputs(): { toJavaScript(): Record<string, unknown> } | undefined },
      callback: Callback,
    ): void;
  };
  monitor.registerResource = (request, callback) => {
    registry.register(request).then(
      (response) => callback(null, response),
      (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), undefined),
    );
  };
  monitor.registerResourceOutputs = (request, callback) => {
    registry.registerOutputs(request.getUrn(), request.getOutputs()?.toJavaScript() ?? {});
    callback(null, {});
  };
}

/** The SDK's wire form as plain values, SecretValue and `[unknown]`. */
function fromWire(value: unknown): unknown {
  if (value === unknownValue) return unknown;
  if (Array.isArray(value)) return value.map(fromWire);
  if (typeof value !== "object" || value === null) return value;
  const map = value as Record<string, unknown>;
  if (map[specialSigKey] === specialSecretSig) return new SecretValue(fromWire(map.value));
  if (map[specialSigKey] === specialResourceSig) return map.id || map.urn;
  return Object.fromEntries(Object.entries(map).map(([key, member]) => [key, fromWire(member)]));
}

function toWire(value: unknown): unknown {
  if (value instanceof SecretValue)
    return { [specialSigKey]: specialSecretSig, value: toWire(reveal(value)) };
  if (Array.isArray(value)) return value.map(toWire);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => [key, toWire(member)]),
  );
}

/**
 * Catches what would otherwise end the process: rejections that nobody handles, and a program that waits for a value
 * that never comes. Also takes `pulumi.log` away from stdout.
 */
function takeOver(log: NonNullable<ProgramOptions["log"]>): { failure: Promise<never>; done(): void } {
  let fail: (error: unknown) => void = () => {};
  const failure = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failure.catch(() => {});
  const listeners = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  const onRejection = (error: unknown) => fail(error);
  const onIdle = () =>
    fail(new Error("The program waits for a value that never comes, e.g. an output of itself."));
  process.on("unhandledRejection", onRejection);
  process.on("beforeExit", onIdle);

  const methods = ["log", "warn", "error"] as const;
  const original = methods.map((method) => console[method]);
  methods.forEach((method, index) => {
    console[method] = (...args: unknown[]) => {
      const runtime = /^(info|warning|error): \[runtime\] ([\s\S]*)$/.exec(String(args[0]));
      if (runtime) log(runtime[1] as "info" | "warning" | "error", runtime[2] ?? "");
      else if (method === "log") console.error(...args);
      else original[index]?.(...args);
    };
  });
  return {
    failure,
    done() {
      process.off("unhandledRejection", onRejection);
      process.off("beforeExit", onIdle);
      for (const listener of listeners) process.on("unhandledRejection", listener);
      methods.forEach((method, index) => {
        console[method] = original[index]!;
      });
    },
  };
}

function logToStderr(severity: string, message: string): void {
  process.stderr.write(`${severity}: ${message}\n`);
}

async function nextTurn(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}
