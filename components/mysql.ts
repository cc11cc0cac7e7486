import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

import { mysqlDatabase } from "../configs/mysql";
import { ports } from "../stack/names";
import { dataVolume, serviceContainer, type StackContext } from "./service";
import type { MysqlConnection } from "./tracker";

export interface MysqlArgs {
  readonly image: string;
  readonly stack: StackContext;
}

const secretFolder = "/etc/mysql-secrets";
const user = "torrust";

/** A MySQL server for the tracker alone, on a network without a way out. Its passwords never leave the state. */
export class Mysql extends pulumi.ComponentResource {
  public readonly volume: docker.Volume;
  public readonly container: docker.Container;
  /** How the tracker reaches it. */
  public readonly connection: MysqlConnection;

  constructor(name: string, args: MysqlArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:service:Mysql", name, {}, opts);
    const password = (role: string) =>
      new random.RandomPassword(`${name}-${role}-password`, { length: 40, special: false }, { parent: this })
        .result;
    const userPassword = password("user");

    this.volume = dataVolume(name, "mysql", args.stack, { parent: this });
    this.container = serviceContainer(
      name,
      {
        service: "mysql",
        image: args.image,
        networks: ["database"],
        user: "999:0",
        environment: {
          MYSQL_DATABASE: mysqlDatabase,
          MYSQL_USER: user,
          MYSQL_PASSWORD_FILE: `${secretFolder}/user`,
          MYSQL_ROOT_PASSWORD_FILE: `${secretFolder}/root`,
        },
        files: [
          { path: `${secretFolder}/user`, content: pulumi.secret(userPassword), private: true },
          { path: `${secretFolder}/root`, content: pulumi.secret(password("root")), private: true },
        ],
        data: [{ volume: this.volume, path: "/var/lib/mysql" }],
        // Over TCP: while the first start sets the database up, only the socket answers.
        healthCommand: ["mysqladmin", "ping", "--host=127.0.0.1", "--silent"],
        waitUntilHealthy: true,
        memory: 1024,
      },
      args.stack,
      { parent: this },
    );
    this.connection = {
      host: args.stack.names.address("database", "mysql"),
      port: ports.mysql,
      user,
      password: userPassword,
      database: mysqlDatabase,
    };
    this.registerOutputs({ volume: this.volume.name });
  }
}
