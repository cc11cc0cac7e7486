import { certificateFolder, certificateVolume, webroot } from "./nginx";
import { renderScript } from "./script";
import { shellWord } from "./shell";

export interface CertbotModel {
  readonly domains: readonly string[];
  /** Absent: nothing is ordered, the certificates are self-signed. */
  readonly acme?: {
    readonly directoryUrl: string;
    /** Whom the authority may write to; absent: certbot registers without. */
    readonly email?: string;
  };
  /** Folder for metrics as text files; absent: nobody reads them. */
  readonly metricsFolder?: string;
}

/**
 * Renders `certbot.sh`, which runs in certbot's container: with an authority it orders and renews, without one all
 * certificates are self-signed.
 */
export function renderCertbotScript(source: string, { domains, acme, metricsFolder }: CertbotModel): string {
  return renderScript(source, {
    home: certificateVolume,
    served: certificateFolder,
    webroot,
    domains: shellWord(domains.join(" ")),
    acme: acme !== undefined,
    metrics: acme !== undefined && metricsFolder !== undefined,
    ...(acme && {
      directory: shellWord(acme.directoryUrl),
      contact: acme.email ? `--email ${shellWord(acme.email)}` : "--register-unsafely-without-email",
    }),
    ...(metricsFolder && { metrics_file: `${metricsFolder}/certbot.prom` }),
  });
}
