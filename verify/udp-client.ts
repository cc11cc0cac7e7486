import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";

import { answersTo, answersToNobody, decodeAnswer, Bep15Error, type UdpAnswer } from "./bep15";
import { networkError, NetworkError, within } from "./net";

/** A conversation with a UDP tracker from one port of ours. */
export interface UdpSession {
  /**
   * Sends a request and waits for its answer; a request without answer is sent again after 1 and 3 seconds (BEP 15's 15
   * seconds are for clients with patience).
   *
   * @throws {NetworkError} when none comes within 6 seconds or it is no answer
   */
  ask(encode: (transactionId: number) => Buffer): Promise<UdpAnswer>;
}

const patience = 6000;
const repeats = [1000, 3000];

/**
 * Opens a socket to a tracker for the time of `use`.
 *
 * @param address literal IP address
 */
export async function withUdpSession<T>(
  { address, port, family }: { readonly address: string; readonly port: number; readonly family: 4 | 6 },
  signal: AbortSignal,
  use: (session: UdpSession) => Promise<T>,
): Promise<T> {
  const socket = createSocket(family === 4 ? "udp4" : "udp6");
  try {
    await within<void>(
      2000,
      signal,
      () => undefined,
      (resolve, reject) => {
        socket.once("error", reject);
        socket.connect(port, address, resolve);
      },
    );
    socket.removeAllListeners("error");
    return await use({
      ask: async (encode) => {
        const transactionId = randomBytes(4).readUInt32BE(0);
        const packet = encode(transactionId);
        const timers: NodeJS.Timeout[] = [];
        try {
          return await within<UdpAnswer>(
            patience,
            signal,
            () => undefined,
            (resolve, reject) => {
              const send = () => socket.send(packet, (error) => error && reject(error));
              socket.on("error", reject);
              socket.on("message", (message) => {
                const lost = answersToNobody(message);
                if (message.length >= 8 && !lost && !answersTo(message, transactionId)) return;
                try {
                  resolve(decodeAnswer(message, lost ? 0 : transactionId, family));
                } catch (error) {
                  reject(error);
                }
              });
              for (const delay of repeats) timers.push(setTimeout(send, delay));
              send();
            },
          );
        } catch (error) {
          const failed = networkError(error);
          if (failed.kind === "refused")
            throw new NetworkError("refused", `nothing listens on UDP port ${port}`, failed.code);
          throw failed;
        } finally {
          timers.forEach(clearTimeout);
          socket.removeAllListeners("message");
          socket.removeAllListeners("error");
          socket.on("error", () => undefined);
        }
      },
    });
  } finally {
    socket.close();
  }
}

/** An answer of the wanted kind. @throws {Bep15Error} for another, with the tracker's message if it is an error */
export function expectAction<A extends UdpAnswer["action"]>(
  answer: UdpAnswer,
  action: A,
): Extract<UdpAnswer, { action: A }> {
  if (answer.action === "error" && action !== "error") throw new Bep15Error(`refused: ${answer.message}`);
  if (answer.action !== action) throw new Bep15Error(`${answer.action} answered to ${action}`);
  return answer as Extract<UdpAnswer, { action: A }>;
}
