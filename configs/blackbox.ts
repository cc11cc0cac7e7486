import { renderYaml } from "./yaml";

/** Names of the modules in the exporter's configuration, one of which Prometheus passes as `module`. */
export const httpsModule = "https";
export const verifyingModule = "https-verified";
export const plainModule = "http";

/** The module that does the same over IPv6, and never falls back. */
export function overIpv6(module: string): string {
  return `${module}-ipv6`;
}

/**
 * Renders the configuration of the blackbox exporter: two modules that fetch a page over TLS, and one without. Of the two
 * one takes any certificate, because a probe that fails reports nothing of it, the other only what a public authority
 * vouches for.
 *
 * @param ipv6 with another module for each over IPv6
 */
export function renderBlackboxConfig(ipv6: boolean): string {
  const fetches = {
    [httpsModule]: https(false),
    [verifyingModule]: https(true),
    // Whoever is led to HTTPS has not been answered.
    [plainModule]: { follow_redirects: false },
  };
  const modules = (named: (module: string) => string, protocol: object) =>
    Object.fromEntries(
      Object.entries(fetches).map(([module, http]) => [named(module), probe(protocol, http)]),
    );
  return renderYaml({
    modules: {
      ...modules((module) => module, { preferred_ip_protocol: "ip4" }),
      ...(ipv6 && modules(overIpv6, { preferred_ip_protocol: "ip6", ip_protocol_fallback: false })),
    },
  });
}

function https(verify: boolean) {
  return { fail_if_not_ssl: true, tls_config: { insecure_skip_verify: !verify } };
}

function probe(protocol: object, http: object) {
  return {
    prober: "http",
    timeout: "5s",
    http: {
      ...protocol,
      // Pingoo refuses requests without a User-Agent.
      headers: { "User-Agent": "blackbox-exporter" },
      ...http,
    },
  };
}
