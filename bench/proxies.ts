import { PingooStack, Crowd, type PingooOptions } from "../test/e2e/support/pingoo";

/** Who stands in front, as a row of a table. */
export interface Contender {
  readonly name: string;
  readonly listeners: number;
  readonly proxy: "pingoo" | "nginx";
}

export const nginx: Contender = { name: "nginx", listeners: 1, proxy: "nginx" };
export const pingoo = (listeners: number): Contender => ({
  name: listeners === 1 ? "Pingoo, 1 listener, no guard" : `Pingoo, ${listeners} listeners and guard`,
  listeners,
  proxy: "pingoo",
});

/** Flags that lead clients to the proxy that runs. */
export interface Target {
  readonly address: string;
  readonly name: string;
  readonly path: string;
}

/** Clients, a server for them, and whichever proxy stands between. */
export class Arena {
  private constructor(
    readonly stack: PingooStack,
    readonly crowd: Crowd,
    private readonly upstream: string,
    private readonly httpsPort: number,
  ) {}

  static async open(name: string, httpsPort: number): Promise<Arena> {
    const stack = await PingooStack.fresh(name);
    const crowd = await Crowd.gather(stack.docker, name);
    return new Arena(stack, crowd, await crowd.serve(), httpsPort);
  }

  /** Puts a proxy in front, instead of the one that was there. */
  async enter({ listeners, proxy }: Contender): Promise<Target> {
    const name = "site.torrust.test";
    const options: PingooOptions = {
      hosts: { [name]: this.upstream },
      httpsPort: this.httpsPort,
      listeners,
      proxy,
      image: process.env.PINGOO_IMAGE,
    };
    await this.stack.up(options);
    const address = `${await this.crowd.meet(this.stack.container(proxy))}:443`;
    const target = { address, name, path: "/" };
    for (let tries = 0; tries < 50; tries++) {
      const { served } = await this.crowd.send<{ served: number }>("honest", { ...target, for: "10ms" });
      if (served > 0) return target;
    }
    throw new Error(`${proxy} serves nobody`);
  }

  async close(): Promise<void> {
    await this.crowd.leave();
    await this.stack.down();
  }
}

/** Which Pingoo is measured, for the head of a table. */
export const pingooSaid = () =>
  process.env.PINGOO_IMAGE ? `Pingoo of ${process.env.PINGOO_IMAGE}` : "the stand-in for Pingoo";
