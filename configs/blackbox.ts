import { renderYaml } from "./yaml";

/** Names of the modules in the exporter's configuration, one of which Prometheus passes as `module`. */
export const httpsModule = "https";
export const verifyingModule = "https-verified";
export const plainModule = "http";

/**
 * Renders the configuration of the blackbox exporter: two modules that fetch a page over TLS, and one without. Of the two
 * one takes any certificate, because a probe that fails reports nothing of it, the other only what a public authority
 * vouches for.
 */
export function renderBlackboxConfig(): string {
  return renderYaml({
    modules: {
      [httpsModule]: https(false),
      [verifyingModule]: https(true),
      // Whoever is led to HTTPS has not been answered.
      [plainModule]: probe({ follow_redirects: false }),
    },
  });
}

function https(verify: boolean) {
  return probe({ fail_if_not_ssl: true, tls_config: { insecure_skip_verify: !verify } });
}

function probe(http: object) {
  return {
    prober: "http",
    timeout: "5s",
    http: {
      preferred_ip_protocol: "ip4",
      // Pingoo refuses requests without a User-Agent.
      headers: { "User-Agent": "blackbox-exporter" },
      ...http,
    },
  };
}
