import { checkId, fail, pass, skip, type Check, type Context, type Outcome } from "./check";
import { fetchHttps, jsonObject, type HttpResponse } from "./http";
import { hostPort } from "./net";
import { count, excerpt } from "./text";
import { handshakeId } from "./tls";
import type { WebTarget } from "./targets";

/** Path of the tracker's statistics, without its token. */
const statsPath = "/api/v1/stats";

/** The tracker's REST API behind the proxy: the evaluation's experiment 2. */
export function apiChecks({ targets }: Context): Check[] {
  const { api, adminToken } = targets;
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
  return [
    health,
    {
      ...common,
      kind: "api.stats",
      name: "statistics with the token",
      expected: "200 with the tracker's numbers as JSON",
      remedy: "The token is not the deployed one: `pulumi up` puts the one of the configuration in force.",
      needs: [checkId(health)],
      run: async (signal) => {
        if (!adminToken) return skip("the token is not known");
        const path = `${statsPath}?token=${encodeURIComponent(adminToken)}`;
        return judgeStats(await fetchHttps(api, { path }, signal));
      },
    },
    {
      ...common,
      kind: "api.refusal",
      name: "refused without the token",
      expected: "an error without a token and with a wrong one (500 today)",
      remedy:
        "Anybody can read and change what the tracker knows: take its API off the network, then see its http_api.access_tokens.",
      needs: [checkId(health)],
      run: async (signal) => {
        const [without, wrong] = await Promise.all([
          fetchHttps(api, { path: statsPath }, signal),
          fetchHttps(api, { path: `${statsPath}?token=wrong-on-purpose` }, signal),
        ]);
        const seen = `${without.status} without a token, ${wrong.status} with a wrong one`;
        return [without, wrong].every(isRefusal) ? pass(seen) : fail(seen);
      },
    },
  ];
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
