import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { deploy, isSecret, type Deployed, type UploadedFile } from "../support/deploy";

const backupPassword = "correct-horse-battery";
const local = { backup: { repository: "/srv/backup" }, backupPassword };
const grafana = { grafana: true, grafanaDomain: "grafana.torrust.org" };

/** A container by its name: the one with restic has no host name of its own. */
function container({ resources }: Deployed, service: string) {
  const found = resources.find(
    ({ type, inputs }) => type.endsWith(":Container") && inputs.name === `torrust-pingoo-dev-${service}`,
  );
  if (!found) throw new Error(`no container ${service}`);
  return found.inputs;
}
const plain = (value: unknown): string =>
  isSecret(value) ? (value as { value: string }).value : (value as string);
const file = (deployed: Deployed, path: string, service = "backup") =>
  (plain(container(deployed, service).uploads) as unknown as UploadedFile[]).find(
    (upload) => upload.file === path,
  );
const mounts = (inputs: { volumes: { containerPath: string; readOnly?: boolean; hostPath?: string }[] }) =>
  inputs.volumes.map(({ containerPath, readOnly, hostPath }) =>
    [containerPath, readOnly ? "ro" : "rw", hostPath].filter(Boolean).join(" "),
  );
const names = ({ resources }: Deployed) =>
  resources.filter(({ type }) => type.endsWith(":Container")).map(({ inputs }) => String(inputs.name));

describe("backups", () => {
  it("are not there unless configured", async () => {
    expect(names(await deploy()).filter((name) => name.includes("backup"))).toEqual([]);
  });

  it("mount data read-only", async () => {
    const deployed = await deploy({ ...local, ...grafana, hybrid: true });
    expect(mounts(container(deployed, "backup"))).toEqual([
      "/var/lib/torrust-backup rw",
      "/data/tls ro",
      "/data/letsencrypt ro",
      "/repository rw /srv/backup",
    ]);
    expect(mounts(container(deployed, "backup-snapshot"))).toEqual([
      "/var/lib/torrust-backup rw",
      "/data/tracker ro",
      "/data/grafana ro",
    ]);
    expect(names(deployed)).not.toContain("torrust-pingoo-dev-backup-dump");
  });

  it("dump MySQL, and leave SQLite's volume alone then", async () => {
    const deployed = await deploy({ ...local, database: "mysql" });
    expect(mounts(container(deployed, "backup-snapshot"))).toEqual(["/var/lib/torrust-backup rw"]);
    const dump = container(deployed, "backup-dump");
    expect(dump.networksAdvanced).toHaveLength(1);
    const options = file(deployed, "/etc/torrust-backup/mysql.cnf", "backup-dump")!;
    expect(options.permissions).toBe("0640");
    expect(plain(options.content)).toContain("secret-of-torrust-mysql-user-password");
  });

  it("hold what is asked for only", async () => {
    const backup = { ...local.backup, include: ["tls"] };
    const deployed = await deploy({ ...local, backup, database: "mysql" });
    expect(mounts(container(deployed, "backup")).filter((mount) => mount.endsWith(" ro"))).toEqual([
      "/data/tls ro",
    ]);
    expect(names(deployed)).not.toContain("torrust-pingoo-dev-backup-dump");
    expect(file(deployed, "/data/config/pingoo/etc/pingoo/pingoo.yml")).toBeUndefined();
  });

  it("hold every generated file, readable by root alone", async () => {
    const deployed = await deploy({ ...local, ...grafana });
    for (const path of ["pingoo/etc/pingoo/pingoo.yml", "tracker/etc/torrust/tracker/tracker.toml"])
      expect(file(deployed, `/data/config/${path}`)).toMatchObject({ permissions: "0640" });
    expect(isSecret(container(deployed, "backup").uploads)).toBe(true);
  });

  it("keep their secrets out of the environment", async () => {
    const s3 = { backupS3AccessKeyId: "id-of-s3", backupS3SecretAccessKey: "key-of-s3" };
    const deployed = await deploy({ ...s3, backupPassword, backup: { repository: "s3:https://h.org/b" } });
    const inputs = container(deployed, "backup");
    expect(inputs.envs).toEqual([]);
    expect(plain(file(deployed, "/etc/torrust-backup/s3")!.content)).toBe(
      "[default]\naws_access_key_id = id-of-s3\naws_secret_access_key = key-of-s3\n",
    );
    for (const path of ["password", "s3", "repository"])
      expect(file(deployed, `/etc/torrust-backup/${path}`)!.permissions).toBe("0640");
    expect(isSecret(inputs.uploads)).toBe(true);
    expect(mounts(inputs).some((mount) => mount.includes("/repository"))).toBe(false);
  });

  it("put a REST server's password into the address that restic is given", async () => {
    const backup = { repository: "rest:https://user@host.org/path" };
    const deployed = await deploy({ backup, backupPassword, backupRestPassword: "p@ss/word" });
    const { content } = file(deployed, "/etc/torrust-backup/repository")!;
    expect(plain(content)).toBe("rest:https://user:p%40ss%2Fword@host.org/path");
    expect(isSecret(container(deployed, "backup").uploads)).toBe(true);
  });

  it("ask an SFTP server with the key and its known name only", async () => {
    const backup = { repository: "sftp:u@h.org:/path", knownHosts: "h.org ssh-ed25519 AAAA" };
    const deployed = await deploy({ backup, backupPassword, backupSshKey: "KEY\n\n" });
    expect(plain(file(deployed, "/etc/torrust-backup/ssh-key")!.content)).toBe("KEY\n");
    expect(file(deployed, "/etc/torrust-backup/known_hosts")!.content).toBe("h.org ssh-ed25519 AAAA\n");
    expect(container(deployed, "backup").capabilities.adds).toEqual(["CAP_DAC_READ_SEARCH"]);
  });

  it("have a host name like no other where locks are concerned", async () => {
    const deployed = await deploy(local);
    expect(container(deployed, "backup").hostname).toBeUndefined();
  });

  it("are scraped, where there is Prometheus", async () => {
    const jobs = (deployed: Deployed) =>
      (
        parse(deployed.file("prometheus", "/etc/prometheus/prometheus.yml")).scrape_configs as {
          job_name: string;
        }[]
      ).map(({ job_name }) => job_name);
    expect(jobs(await deploy(local))).toContain("backup");
    expect(jobs(await deploy())).not.toContain("backup");
    const alone = await deploy({ ...local, prometheus: false });
    expect(container(alone, "backup-snapshot").networksAdvanced).toHaveLength(1);
  });
});
