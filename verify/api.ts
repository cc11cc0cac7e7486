import { checkId, fail, knownLimit, pass, skip, type Check, type Context, type Outcome } from "./check";
import { fetchHttps, jsonObject, type HttpResponse } from "./http";
import { hostPort } from "./net";
import { count, excerpt } from "./text";
import { handshakeId } from "./tls";
import type { WebTarget } from "./targets";

/** Path of the tracker's statistics, without its token. */
const statsPath = "/api/v1/stats";
/** Path of the metrics that trackers after 3.0.0 have. */
const metricsPath = "/api/v1/metrics";

/** The tracker's REST API behind the proxy: the evaluation's experiment 2. */
export function apiChecks({ targets }: Context): Check[] {
  const { api, adminToken, countDownloads } = targets;
  if (!api) return [];
  const common = {
    target: hostPort(api.host, api.port),
    topic: "API" as const,
    experiment: 2 as const,
    needs: [handshakeId(api)],
  };
  const health: Check = {
    ...common,
    kind: "api.health",
    name: "health",
    expected: `200 {"status":"Ok"}`,
    remedy: "See whether the tracker's container is healthy, and whether the proxy's route names this host.",
    run: async (signal) => judgeHealth(await fetchHttps(api, { path: "/api/health_check" }, signal)),
  };
  const asked = (path: string, judge: (response: HttpResponse) => Outcome) => async (signal: AbortSignal) => {
    if (!adminToken) return skip("the token is not known");
    const withToken = `${path}?token=${encodeURIComponent(adminToken)}`;
    return judge(await fetchHttps(api, { path: withToken }, signal));
  };
  const stats: Check = {
    ...common,
    kind: "api.stats",
    name: "statistics with the token",
    expected: "200 with the tracker's numbers as JSON",
    remedy: "The token is not the deployed one: `pulumi up` puts the one of the configuration in force.",
    needs: [checkId(health)],
    run: asked(statsPath, judgeStats),
  };
  const downloads: Check = {
    ...common,
    kind: "api.downloads",
    name: "completed downloads",
    expected: "a tracker that reads its counts back when it starts: one newer than 3.0.0, which has metrics",
    remedy: "Without them new torrents cost no write: pulumi config set countDownloads false",
    needs: [checkId(stats)],
    run: asked(metricsPath, judgeMetrics),
  };
  return [
    health,
    stats,
    ...(countDownloads ? [downloads] : []),
    {
      ...common,
      kind: "api.refusal",
      name: "refused without the token",
      expected: "an error without a token and with a wrong one (500 today)",
      remedy:
        "Anybody can read and change what the tracker knows: take its API off the network, then see its http_api.access_tokens.",
      needs: [checkId(health)],
      run: (signal) => askWithoutToken(api, signal),
    },
  ];
}

async function askWithoutToken(api: WebTarget, signal: AbortSignal): Promise<Outcome> {
  const [without, wrong] = await Promise.all([
    fetchHttps(api, { path: statsPath }, signal),
    fetchHttps(api, { path: `${statsPath}?token=wrong-on-purpose` }, signal),
  ]);
  const seen = `${without.status} without a token, ${wrong.status} with a wrong one`;
  return [without, wrong].every(isRefusal) ? pass(seen) : fail(seen);
}

/** Judges the answer of a health check of the tracker. */
export function judgeHealth({ status, body }: HttpResponse): Outcome {
  const seen = `${status} ${excerpt(body)}`.trim();
  return status === 200 && jsonObject(body)?.status === "Ok" ? pass(seen) : fail(seen);
}

function judgeStats({ status, body }: HttpResponse): Outcome {
  const torrents = jsonObject(body)?.torrents;
  if (status !== 200) return fail(`${status} ${excerpt(body)}`.trim());
  if (typeof torrents !== "number") return fail(`200, but no JSON with "torrents": ${excerpt(body)}`);
  return pass(`200, ${count(torrents, "torrent")}`);
}

/** Tracker 3.0.0, which has no metrics, writes completed downloads down and does not read them. */
function judgeMetrics({ status, body }: HttpResponse): Outcome {
  if (status === 200) return pass("200: the tracker has metrics");
  return status === 404
    ? knownLimit(
        "404: this is tracker 3.0.0, whose counts are lost at each restart, while each new torrent costs a write and stays for ever",
        "https://github.com/torrust/torrust-tracker/issues/1264",
      )
    : fail(`${status} ${excerpt(body)}`.trim());
}

/** The tracker refuses with 500; 401 and 403 would say it better. A gateway's error is no refusal. */
function isRefusal({ status }: HttpResponse): boolean {
  return status === 401 || status === 403 || status === 500;
}

/** Calls the API with the token. @throws {NetworkError} */
export function callApi(
  api: WebTarget,
  token: string,
  method: "POST" | "DELETE",
  path: string,
  signal: AbortSignal,
  body?: unknown,
): Promise<HttpResponse> {
  return fetchHttps(
    api,
    {
      method,
      path: `/api/v1${path}?token=${encodeURIComponent(token)}`,
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: { "content-type": "application/json" },
      }),
    },
    signal,
  );
}
