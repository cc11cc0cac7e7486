import type { RequestListener } from "node:http";
import { createServer, type AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";

import { fetchHttps, jsonObject } from "../../../verify/http";
import { networkError, NetworkError, type Endpoint } from "../../../verify/net";
import { excerpt, printable } from "../../../verify/text";
import { goodIdentity } from "./support/deployment";
import { startFront } from "./support/front";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});

async function serve(handler: RequestListener): Promise<Endpoint> {
  const front = await startFront({ identity: goodIdentity, handler });
  closers.push(front.close);
  return { host: "api.torrust.test", port: front.port, connect: "127.0.0.1" };
}

async function failureOf(promise: Promise<unknown>): Promise<NetworkError> {
  const error = await promise.then(
    () => new Error("it went well"),
    (reason: unknown) => reason,
  );
  if (error instanceof NetworkError) return error;
  throw error;
}

describe("fetchHttps", () => {
  it("sends what it is told, to the address that it is told", async () => {
    const endpoint = await serve((request, response) => {
      response.end(JSON.stringify({ url: request.url, headers: request.headers, method: request.method }));
    });
    const plain = await fetchHttps(endpoint, { path: "/a?x=%00%ff" });
    expect(jsonObject(plain.body)).toMatchObject({
      url: "/a?x=%00%ff",
      method: "GET",
      headers: {
        host: `api.torrust.test:${endpoint.port}`,
        "user-agent": expect.stringMatching(/^torrust-pingoo-verify/),
      },
    });
    expect(plain.localAddress).toBe("127.0.0.1");
    const odd = await fetchHttps(endpoint, {
      method: "POST",
      path: "/",
      body: "é",
      hostHeader: "other.test",
      userAgent: null,
    });
    const { headers } = jsonObject(odd.body) as { headers: Record<string, string> };
    expect(headers).toMatchObject({ host: "other.test", "content-length": "2" });
    expect(headers["user-agent"]).toBeUndefined();
  });

  it.each<[string, RequestListener, string, string]>([
    [
      "an endless body",
      (_, response) => void response.end(Buffer.alloc(2000)),
      "other",
      "an answer of more than 1000 bytes",
    ],
    ["silence", () => undefined, "timeout", "no answer within 0.3 s"],
    [
      "half a body",
      (_, response) => void response.writeHead(200, { "content-length": 10 }).write("x"),
      "timeout",
      "no answer within 0.3 s",
    ],
    [
      "a hang-up",
      (request) => void request.socket.destroy(),
      "closed",
      "connection closed by the other side",
    ],
    [
      "a body that breaks off",
      (request, response) => {
        response.writeHead(200, { "content-length": 10 }).write("x");
        setTimeout(() => request.socket.destroy(), 20);
      },
      "closed",
      "an answer that breaks off",
    ],
    [
      "no HTTP",
      (request) => void request.socket.end("nonsense\r\n\r\n"),
      "other",
      "an answer that is no HTTP",
    ],
  ])("ends at %s", async (_, handler, kind, message) => {
    const endpoint = await serve(handler);
    const error = await failureOf(
      fetchHttps(endpoint, { path: "/secret?token=hunter2", timeout: 300, limit: 1000 }),
    );
    expect(error).toMatchObject({ kind, message });
  });

  it("says why there is no connection, and nothing of the request", async () => {
    const server = createServer((socket) =>
      socket
        .on("error", () => undefined)
        .resume()
        .end("HTTP/1.0 400\r\n\r\n"),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const endpoint = { host: "api.torrust.test", port, connect: "127.0.0.1" };
    const plain = await failureOf(fetchHttps(endpoint, { path: "/?token=hunter2" }));
    expect(plain.kind).toBe("tls");
    expect(plain.message).toMatch(/^TLS: /);
    await new Promise((resolve) => server.close(resolve));
    const refused = await failureOf(fetchHttps(endpoint, { path: "/?token=hunter2" }));
    expect(refused).toMatchObject({ kind: "refused", message: "connection refused" });
    const unnamed = await failureOf(fetchHttps({ host: "no.invalid", port }, { path: "/?token=hunter2" }));
    expect(unnamed.kind).toBe("name");
    for (const error of [plain, refused, unnamed]) expect(error.message).not.toContain("hunter2");
  });

  it("stops when the run is over", async () => {
    const endpoint = await serve(() => undefined);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    const error = await failureOf(fetchHttps(endpoint, { path: "/" }, controller.signal));
    expect(error.message).toBe("stopped: the time for all checks is over");
    const early = await failureOf(fetchHttps(endpoint, { path: "/" }, controller.signal));
    expect(early.message).toBe(error.message);
  });
});

it("texts from outside cannot steer the terminal", () => {
  expect(printable("a\u001b[31m\u202eb\ud800")).toBe("a·[31m·b·");
  expect(excerpt(Buffer.from("  one\n\n two\t three "), 9)).toBe("one two t…");
  expect(
    networkError(new AggregateError([Object.assign(new Error("x"), { code: "ECONNREFUSED" })])).message,
  ).toBe("connection refused");
  expect(networkError("text").message).toBe("text");
});
