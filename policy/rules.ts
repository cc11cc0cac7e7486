/** A resource as the engine knows it before it is made. */
export interface Checked {
  /** Type token, e.g. `docker:index/container:Container`. */
  readonly type: string;
  readonly props: Readonly<Record<string, unknown>>;
  readonly protect: boolean;
}

/** About a resource, or about all of a stack's together: what none of them shows alone. */
export interface Rule<Subject = Checked> {
  readonly name: string;
  readonly description: string;
  /** What is wrong, a sentence each. */
  readonly check: (subject: Subject) => string[];
}

interface ContainerProps {
  readonly hostname?: string;
  readonly privileged?: boolean;
  readonly networkMode?: string;
  readonly pidMode?: string;
  readonly ipcMode?: string;
  readonly usernsMode?: string;
  readonly capabilities?: { readonly adds?: readonly string[]; readonly drops?: readonly string[] };
  readonly securityOpts?: readonly string[];
  readonly devices?: readonly unknown[];
  readonly memory?: number;
  readonly logDriver?: string;
  readonly logOpts?: Readonly<Record<string, string>>;
  readonly envs?: readonly string[];
  readonly ports?: readonly { readonly internal: number; readonly protocol?: string }[];
  readonly volumes?: readonly unknown[];
  readonly mounts?: readonly unknown[];
}

/** Capabilities that a service may keep; all others keep none. */
const capabilities: Readonly<Record<string, readonly string[]>> = {
  // The first and the last are its guard's and the supervisor's; Pingoo itself has the second.
  pingoo: ["CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_SETPCAP"],
  tracker: ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID"],
};

/** Who may be reached from outside, and how. */
const published: Readonly<Record<string, string>> = {
  pingoo: "tcp",
  door: "tcp",
  nginx: "tcp",
  tracker: "udp",
};

/** Services that meet no proxy are found in internal networks only. */
const outward = "edge";

export const rules: readonly Rule[] = [
  containers("no-privileges", "Containers run without privileges.", (container) => {
    const { hostname = "", capabilities: { adds = [], drops = [] } = {}, securityOpts = [] } = container;
    const kept = adds.filter((capability) => !capabilities[hostname]?.includes(capability));
    const shared = [container.networkMode, container.pidMode, container.ipcMode, container.usernsMode];
    return [
      ...(container.privileged ? ["It is privileged."] : []),
      ...(drops.includes("ALL") ? [] : ['It keeps capabilities that it did not ask for. Drop "ALL".']),
      ...kept.map((capability) => `It keeps ${capability}, which ${hostname} does not need.`),
      ...(securityOpts.includes("no-new-privileges") ? [] : ['It lacks the option "no-new-privileges".']),
      ...(shared.includes("host") ? ["It shares a namespace with the host."] : []),
      ...((container.devices ?? []).length > 0 ? ["It has a device of the host."] : []),
    ];
  }),
  containers("no-docker-socket", "No container can command the engine.", ({ volumes, mounts }) =>
    /docker\.sock|containerd\.sock|\/var\/run"|"\/run"/.test(JSON.stringify([volumes, mounts]))
      ? ["It has the engine's socket, or the folder in which it lies."]
      : [],
  ),
  containers("bounded", "Memory and logs have a limit.", ({ memory, logDriver, logOpts = {} }) => [
    ...(memory ? [] : ["Its memory has no limit."]),
    ...(logDriver === "none" || logOpts["max-size"] ? [] : ["Its log has no limit."]),
  ]),
  containers(
    "no-secret-in-environment",
    "Secrets are files: docker inspect shows an environment.",
    ({ envs = [] }) =>
      envs
        .map((line) => line.split("=")[0]!)
        .filter((name) => /PASS(WORD|PHRASE)|TOKEN|SECRET|CREDENTIAL/i.test(name) && !/_FILE$/i.test(name))
        .map((name) => `${name} is in its environment. Hand it over as a file.`),
  ),
  containers("published-ports", "The proxies and UDP trackers are reachable, nothing else.", (container) => {
    const { hostname = "", ports = [] } = container;
    return ports
      .filter(({ protocol = "tcp" }) => published[hostname] !== protocol)
      .map(({ internal, protocol = "tcp" }) => `It publishes port ${internal}/${protocol}.`);
  }),
  {
    name: "internal-networks",
    description: "What need not reach the outside cannot.",
    check: ({ type, props }) =>
      type !== "docker:index/network:Network" ||
      String(props.name).endsWith(`-${outward}`) ||
      props.internal === true
        ? []
        : [`The network ${String(props.name)} is not internal.`],
  },
  {
    name: "pinned-images",
    description: "An image has a version: what ran yesterday runs tomorrow.",
    check: ({ type, props }) =>
      type !== "docker:index/remoteImage:RemoteImage" ||
      // What is built here is named by a hash of what goes into it, known once that is there.
      props.build !== undefined ||
      /@sha256:[0-9a-f]{64}$|:(?!latest$|develop$)[\w][\w.-]*$/.test(String(props.name))
        ? []
        : [`The image ${String(props.name)} means whatever is newest.`],
  },
];

/** Breaking one of these may be meant: people are told, and go on. */
export const advice: readonly Rule<readonly Checked[]>[] = [
  {
    name: "protected-data",
    description: "Volumes with data refuse deletion.",
    check: (resources) => {
      const of = (type: string) => resources.filter((resource) => resource.type === type);
      // The engine of a machine that is part of the stack keeps its volumes on the machine's own.
      const machines = of("hcloud:index/volume:Volume");
      return (machines.length > 0 ? machines : of("docker:index/volume:Volume"))
        .filter((volume) => !volume.protect)
        .map(
          ({ props }) =>
            `The volume ${String(props.name)} goes with the stack. Run: pulumi config set protectData true`,
        );
    },
  },
];

function containers(name: string, description: string, check: (container: ContainerProps) => string[]): Rule {
  return {
    name,
    description,
    check: ({ type, props }) =>
      type === "docker:index/container:Container" ? check(props as ContainerProps) : [],
  };
}
