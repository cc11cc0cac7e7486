import fc from "fast-check";
import { isIPv4, isIPv6 } from "node:net";
import { describe, expect, it } from "vitest";

import { defaultSubnet, namesFor, services, type NetworkName } from "../../../stack/names";

const networks: NetworkName[] = ["edge", "metrics", "database"];

describe("names", () => {
  const names = namesFor("torrust-pingoo", "dev", "10.230.7.0/24");

  it("begin with project and stack", () => {
    expect(names.container("pingoo")).toBe("torrust-pingoo-dev-pingoo");
    expect(names.volume("tls")).toBe("torrust-pingoo-dev-tls");
    expect(names.network("edge")).toBe("torrust-pingoo-dev-edge");
  });

  it("divide the subnet among the networks", () => {
    expect(networks.map((network) => names.subnet(network))).toEqual([
      "10.230.7.0/26",
      "10.230.7.64/26",
      "10.230.7.128/26",
    ]);
    expect(names.address("edge", "tracker")).toBe("10.230.7.20");
    expect(names.address("metrics", "tracker")).toBe("10.230.7.84");
  });

  it("give every service on every network an address of its own", () => {
    const all = networks.flatMap((network) => [
      names.gateway(network),
      ...services.map((service) => names.address(network, service)),
    ]);
    expect(new Set(all).size).toBe(all.length);
    expect(all.every((address) => isIPv4(address))).toBe(true);
  });

  it("derive a private subnet from any stack's name, always the same", () => {
    fc.assert(
      fc.property(fc.string(), (stack) => {
        const subnet = defaultSubnet("torrust-pingoo", stack);
        expect(subnet).toMatch(/^10\.(22[4-9]|2[34]\d|25[0-5])\.\d+\.0\/24$/);
        expect(defaultSubnet("torrust-pingoo", stack)).toBe(subnet);
        const [prefix, length] = namesFor("torrust-pingoo", stack, subnet).edgeSubnet6.split("/");
        expect(isIPv6(prefix ?? "")).toBe(true);
        expect(prefix).toMatch(/^fd/);
        expect(length).toBe("64");
      }),
    );
  });
});
