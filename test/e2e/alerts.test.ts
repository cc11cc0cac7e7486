import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";

import { sendTestAlert } from "../../alerts/test-alert";
import { backupMetric } from "../../configs/alerts";
import { defaultSubnet, namesFor } from "../../stack/names";
import { buildImages, imageReferences } from "../images/build";
import { seenMetrics } from "../support/metrics";
import { eventually, TestStack } from "./support/engine";

const [httpsPort, grafanaPort, httpPort, udpPort, hookPort] = [24443, 24444, 24080, 24969, 24500];
const name = "alerts-e2e";
const secrets = { path: "s3cr3t-hook-path", token: "s3cr3t-hook-token", heartbeat: "s3cr3t-heartbeat-path" };
const gateway = namesFor("torrust-pingoo", name, defaultSubnet("torrust-pingoo", name)).gateway("edge");
const hook = `http://${gateway}:${hookPort}`;
const values = {
  apiDomain: "api.torrust.test",
  httpTrackers: [{ domain: "tracker.torrust.test" }],
  udpTrackers: [{ port: udpPort }],
  httpsPort,
  httpPort,
  grafana: true,
  grafanaDomain: "grafana.torrust.test",
  grafanaPort,
  acme: "none",
  prometheusScrapeInterval: 1,
  alertDelay: 12,
  alertReceivers: {
    webhook: { url: `${hook}/${secrets.path}`, token: secrets.token },
    heartbeat: { url: `${hook}/${secrets.heartbeat}` },
  },
};

interface Told {
  readonly path: string;
  readonly authorization?: string;
  readonly status: "firing" | "resolved";
  readonly alertname: string;
  readonly instance?: string;
  readonly annotations: Readonly<Record<string, string>>;
}

describe.skipIf(!inject("engine"))("alerts", { timeout: 180_000 }, () => {
  let stack: TestStack;
  const receiver = new Receiver();

  beforeAll(async () => {
    await buildImages({ log: (line) => console.log(line) });
    stack = await TestStack.fresh(name);
    await receiver.listen(hookPort);
    await stack.up(values);
  }, 1_800_000);
  afterAll(async () => {
    await receiver.close();
    await stack?.down();
  }, 120_000);

  /** What an HTTP server inside a container answers. */
  const ask = async (service: string, url: string) => {
    const { code, output } = await stack.exec(service, "wget", "-qO-", url);
    if (code !== 0) throw new Error(`${url}: ${output}`);
    return output;
  };
  const query = async (expr: string) => {
    const url = `http://127.0.0.1:9090/api/v1/query?query=${encodeURIComponent(expr)}`;
    const { data } = JSON.parse(await ask("prometheus", url));
    return data.result as { metric: Record<string, string>; value: [number, string] }[];
  };
  const allWell = () =>
    eventually(async () => {
      expect((await query("probe_success")).map(({ value }) => value[1])).toEqual(["1", "1", "1", "1"]);
      expect(await query("up == 0")).toEqual([]);
    });

  it("sends a heartbeat, and has nothing else to tell", async () => {
    await eventually(async () => expect(receiver.by(secrets.heartbeat)[0]?.alertname).toBe("Watchdog"));
    await allWell();
    expect(receiver.by(secrets.path)).toEqual([]);
  });

  it("builds on metrics that are there, text files of others among them", async () => {
    // As a backup leaves it.
    const file = `# TYPE ${backupMetric} gauge\n${backupMetric} ${Math.floor(Date.now() / 1000)}\n`;
    await stack.docker.run(imageReferences().python, ["sh", "-c", `printf '%s' '${file}' >backup.prom`], [], {
      WorkingDir: "/metrics",
      HostConfig: { AutoRemove: true, Binds: [`torrust-pingoo-${name}-textfile:/metrics`] },
    });
    await eventually(async () => {
      const url = "http://127.0.0.1:9090/api/v1/label/__name__/values";
      const { data } = JSON.parse(await ask("prometheus", url)) as { data: string[] };
      expect(data).toEqual(expect.arrayContaining([...seenMetrics]));
    });
  });

  it("stay silent when the stack is switched to hybrid, and when all of it is restarted", async () => {
    const { summary } = await stack.up({ ...values, hybrid: true });
    expect(summary.created).toBeGreaterThan(0);
    await allWell();
    const containers = await stack.docker.listContainers({
      filters: { label: [`torrust-pingoo.stack=torrust-pingoo-${name}`] },
    });
    expect(containers.length).toBeGreaterThan(10);
    await Promise.all(containers.map(({ Id }) => stack.docker.getContainer(Id).restart()));
    await allWell();
    await new Promise((resolve) => setTimeout(resolve, (values.alertDelay + 5) * 1000));
    expect(receiver.by(secrets.path)).toEqual([]);
    // The heartbeat was waited out: nothing else has been on its way.
    expect((await query('ALERTS{alertstate="firing"}')).map(({ metric }) => metric.alertname)).toEqual([
      "Watchdog",
    ]);
  });

  describe("about a certificate near its end and a stopped tracker", () => {
    const certificate = (days: number) =>
      stack.exec(
        "certbot",
        "sh",
        "-c",
        `cd /etc/letsencrypt/self-signed/grafana.torrust.test &&
         openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days ${days} -subj /CN=self-signed \
           -addext subjectAltName=DNS:grafana.torrust.test -keyout privkey.pem -out fullchain.pem &&
         sh /opt/torrust/certbot.sh publish`,
      );

    it("reach the receiver", async () => {
      expect(await certificate(5)).toMatchObject({ code: 0 });
      await stack.container("tracker").stop();
      await eventually(async () =>
        expect(new Set(receiver.by(secrets.path).map(({ alertname }) => alertname))).toEqual(
          new Set(["CertificateExpiring", "TrackerDown"]),
        ),
      );
      const expiring = receiver.by(secrets.path).find(({ alertname }) => alertname === "CertificateExpiring");
      expect(expiring).toMatchObject({
        status: "firing",
        instance: `https://grafana.torrust.test:${grafanaPort}`,
        authorization: `Bearer ${secrets.token}`,
        annotations: {
          summary: `The certificate of https://grafana.torrust.test:${grafanaPort} is about to end`,
          description: expect.stringMatching(/^It ends in 4d 23h/),
        },
      });
    });

    it("are taken back when it is renewed and the tracker runs", async () => {
      expect(await certificate(90)).toMatchObject({ code: 0 });
      await stack.container("tracker").start();
      await eventually(async () =>
        expect(
          new Set(
            receiver
              .by(secrets.path)
              .filter(({ status }) => status === "resolved")
              .map(({ alertname }) => alertname),
          ),
        ).toEqual(new Set(["CertificateExpiring", "TrackerDown"])),
      );
      // Nothing that follows from the tracker's absence was told besides.
      expect(new Set(receiver.by(secrets.path).map(({ alertname }) => alertname))).toEqual(
        new Set(["CertificateExpiring", "TrackerDown"]),
      );
    });
  });

  describe("the receivers' secrets", () => {
    const all = Object.values(secrets);

    it("lie in files that only their service can read", async () => {
      let found = 0;
      for (const [service, folder] of [
        ["alertmanager", "/etc/alertmanager"],
        ["alertmanager", "/alertmanager"],
        ["prometheus", "/etc/prometheus"],
        ["grafana", "/etc/grafana"],
      ] as const)
        for (const [path, { content, mode }] of await stack.files(service, folder))
          if (all.some((secret) => content.includes(secret))) {
            found++;
            expect([service, path, mode & 0o007]).toEqual([service, path, 0]);
          }
      expect(found).toBe(3);
    });

    it("are in no answer of an API, no log and nothing that inspecting shows", async () => {
      const seen = await Promise.all([
        ...["api/v2/status", "api/v2/receivers", "api/v2/alerts", "api/v2/alerts/groups", "metrics"].map(
          (path) => ask("alertmanager", `http://127.0.0.1:9093/${path}`),
        ),
        ...["status/config", "rules", "alerts", "alertmanagers", "targets", "status/flags"].map((path) =>
          ask("prometheus", `http://127.0.0.1:9090/api/v1/${path}`),
        ),
        ...["alertmanager", "prometheus"].map((service) => stack.logs(service)),
        ...["alertmanager", "prometheus"].map(async (service) =>
          JSON.stringify(await stack.container(service).inspect()),
        ),
      ]);
      expect(seen[0]).toContain("url_file");
      for (const text of seen) for (const secret of all) expect(text).not.toContain(secret);
    });
  });

  describe("npm run alert:test", () => {
    const send = () =>
      sendTestAlert({ docker: stack.docker, prefix: `torrust-pingoo-${name}`, timeout: 5_000 });

    it("says that the receiver was told", async () => {
      expect(await send()).toEqual({
        prometheus: true,
        receivers: [{ name: "webhook", delivered: true }],
      });
      expect(receiver.by(secrets.path).at(-1)).toMatchObject({
        alertname: "TestAlert",
        annotations: { summary: "This is a test" },
      });
    });

    it("says why it was not, without the receiver's secrets", async () => {
      receiver.refuses = true;
      const { receivers } = await send();
      receiver.refuses = false;
      expect(receivers).toEqual([
        { name: "webhook", delivered: false, reason: expect.stringContaining("unexpected status code 503") },
      ]);
      for (const secret of Object.values(secrets)) expect(JSON.stringify(receivers)).not.toContain(secret);
    });
  });
});

/** Takes what Alertmanager posts, alert by alert. */
class Receiver {
  /** It takes nothing. */
  refuses = false;
  readonly #told: Told[] = [];
  readonly #server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (this.refuses) return void response.writeHead(503).end(`${request.url} is out of order`);
      const { alerts } = JSON.parse(Buffer.concat(chunks).toString("utf8"));
      for (const { status, labels, annotations } of alerts)
        this.#told.push({
          path: request.url!.slice(1),
          authorization: request.headers.authorization,
          status,
          alertname: labels.alertname,
          instance: labels.instance,
          annotations,
        });
      response.end();
    });
  });

  /** What came by the URL that ends in `path`. */
  by(path: string): readonly Told[] {
    return this.#told.filter((told) => told.path === path);
  }

  listen(port: number): Promise<void> {
    return new Promise((resolve) => this.#server.listen(port, resolve));
  }

  close(): Promise<unknown> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(resolve));
  }
}
