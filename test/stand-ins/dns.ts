import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { isIPv4 } from "node:net";
import type { AddressInfo } from "node:net";

const types: Readonly<Record<number, string>> = { 1: "A", 2: "NS", 28: "AAAA" };

/** A name server that knows these records, `name type` to values, and nothing else. IPv6 addresses are written in full. */
export class NameServer {
  readonly #socket: Socket = createSocket("udp4");

  constructor(readonly records: Record<string, readonly string[]>) {
    this.#socket.on("message", (query, from) => this.#answer(query, from));
  }

  /** @returns the port on 127.0.0.1 */
  async start(): Promise<number> {
    await new Promise<void>((resolve) => this.#socket.bind(0, "127.0.0.1", resolve));
    return (this.#socket.address() as AddressInfo).port;
  }

  stop(): void {
    this.#socket.close();
  }

  #answer(query: Buffer, from: RemoteInfo): void {
    const labels: string[] = [];
    let at = 12;
    for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
      labels.push(query.toString("latin1", at + 1, at + 1 + length));
      at += length + 1;
    }
    const type = query.readUInt16BE(at + 1);
    const name = labels.join(".").toLowerCase();
    const values = this.records[`${name} ${types[type]}`] ?? [];
    const known = Object.keys(this.records).some((key) => key.startsWith(`${name} `));
    const header = Buffer.alloc(12);
    query.copy(header, 0, 0, 2);
    // A response, recursion available; code 3 for a name that is not there.
    header.writeUInt16BE(0x8580 | (known ? 0 : 3), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(values.length, 6);
    const answers = values.map((value) => {
      const data = encode(value);
      const fixed = Buffer.alloc(12);
      fixed.writeUInt16BE(0xc00c, 0);
      fixed.writeUInt16BE(type, 2);
      fixed.writeUInt16BE(1, 4);
      fixed.writeUInt16BE(data.length, 10);
      return Buffer.concat([fixed, data]);
    });
    this.#socket.send(
      Buffer.concat([header, query.subarray(12, at + 5), ...answers]),
      from.port,
      from.address,
    );
  }
}

function encode(value: string): Buffer {
  if (isIPv4(value)) return Buffer.from(value.split(".").map(Number));
  if (value.includes(":"))
    return Buffer.from(
      value
        .split(":")
        .map((part) => part.padStart(4, "0"))
        .join(""),
      "hex",
    );
  const labels = value
    .split(".")
    .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  return Buffer.concat([...labels, Buffer.from([0])]);
}
