import { renderYaml } from "./yaml";

/** Name of the module in the exporter's configuration, which Prometheus passes as `module`. */
export const httpsModule = "https";

/**
 * Renders the configuration of the blackbox exporter: one module that fetches a page over TLS.
 *
 * @param verify the certificate must come from a public authority; where it cannot, its other properties are still reported
 */
export function renderBlackboxConfig({ verify }: { verify: boolean }): string {
  return renderYaml({
    modules: {
      [httpsModule]: {
        prober: "http",
        timeout: "5s",
        http: {
          preferred_ip_protocol: "ip4",
          fail_if_not_ssl: true,
          // Pingoo refuses requests without a User-Agent.
          headers: { "User-Agent": "blackbox-exporter" },
          tls_config: { insecure_skip_verify: !verify },
        },
      },
    },
  });
}
