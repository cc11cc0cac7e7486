import { callApi } from "./api";
import { failure, skip, type Context, type Outcome } from "./check";
import { jsonObject } from "./http";
import { NetworkError } from "./net";

/** Leave to announce, where the tracker is not open to everybody. */
export interface Access {
  /** Key for the path of HTTP requests, in private mode. */
  readonly key?: string;
}

/** Thrown when leave cannot be had: the check is skipped. */
class NoAccess extends Error {}

/**
 * Gets leave to announce a torrent: on a listed tracker by listing it, on a private one by a key that lives two minutes.
 * Both are taken back at the end of the run.
 *
 * @throws {NoAccess} where that needs the API and its token, which are not known
 * @throws {NetworkError} when the API refuses
 */
export async function getAccess(context: Context, infoHash: Buffer, signal: AbortSignal): Promise<Access> {
  const { targets, atEnd, secret } = context;
  const { api, adminToken, trackerMode } = targets;
  if (trackerMode === "public") return {};
  if (!api || !adminToken)
    throw new NoAccess(
      `the tracker is ${trackerMode}, and ${api ? "the API's token is not known" : "its API, which could give leave, is not public"}`,
    );
  const call = async (method: "POST" | "DELETE", path: string, within: AbortSignal, body?: unknown) => {
    const answer = await callApi(api, adminToken, method, path, within, body);
    if (answer.status !== 200)
      throw new NetworkError(
        "other",
        `the API answered ${answer.status} when leave to announce was asked for`,
      );
    return answer;
  };
  if (trackerMode === "listed") {
    const path = `/whitelist/${infoHash.toString("hex")}`;
    atEnd((within) => call("DELETE", path, within), "last");
    await call("POST", path, signal);
    return {};
  }
  const { body } = await call("POST", "/keys", signal, { key: null, seconds_valid: 120 });
  const key = jsonObject(body)?.key;
  if (typeof key !== "string" || !/^[A-Za-z0-9]{1,64}$/.test(key))
    throw new NetworkError("other", "the API answered without a key");
  secret(key);
  atEnd((within) => call("DELETE", `/key/${key}`, within), "last");
  return { key };
}

/** Runs a check; without leave to announce it is skipped. */
export async function guarded(run: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await run();
  } catch (error) {
    return error instanceof NoAccess ? skip(error.message) : failure(error);
  }
}
